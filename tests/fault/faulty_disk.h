/* faulty_disk.h - a disk that fails on demand: a VFS in front of SQLite's own, made the default by faulty_disk_install().
 * For one test program; not for concurrent change of the settings. */
#pragma once
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No file can grow past this many bytes: writes behind it fail as on a full disk. Negative: no limit. */
static _Atomic long long faulty_disk_size = -1;
/* Syncs that still succeed. Negative: all. */
static _Atomic long long faulty_disk_syncs = -1;
static _Atomic long long faulty_disk_sync_count;
static _Atomic unsigned  faulty_disk_sync_us; /* how long each takes */

struct faulty_file {
    sqlite3_file  base;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_file *faulty_real(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static int faulty_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
    if (faulty_disk_size >= 0 && at + n > faulty_disk_size) return SQLITE_FULL;
    return faulty_real(file)->pMethods->xWrite(faulty_real(file), p, n, at);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    faulty_disk_sync_count++;
    if (faulty_disk_sync_us) usleep(faulty_disk_sync_us);
    if (faulty_disk_syncs == 0) return SQLITE_IOERR_FSYNC;
    if (faulty_disk_syncs > 0) faulty_disk_syncs--;
    return faulty_real(file)->pMethods->xSync(faulty_real(file), flags);
}

// clang-format off
#define PASS(name, parameters, ...) \
    static int faulty_##name parameters { sqlite3_file *real = faulty_real(file); return real->pMethods->x##name(real, ##__VA_ARGS__); }
PASS(Close, (sqlite3_file *file))
PASS(Read, (sqlite3_file *file, void *p, int n, sqlite3_int64 at), p, n, at)
PASS(Truncate, (sqlite3_file *file, sqlite3_int64 size), size)
PASS(FileSize, (sqlite3_file *file, sqlite3_int64 *size), size)
PASS(Lock, (sqlite3_file *file, int level), level)
PASS(Unlock, (sqlite3_file *file, int level), level)
PASS(CheckReservedLock, (sqlite3_file *file, int *out), out)
PASS(FileControl, (sqlite3_file *file, int op, void *arg), op, arg)
PASS(SectorSize, (sqlite3_file *file))
PASS(DeviceCharacteristics, (sqlite3_file *file))
PASS(ShmMap, (sqlite3_file *file, int page, int size, int extend, void volatile **p), page, size, extend, p)
PASS(ShmLock, (sqlite3_file *file, int offset, int n, int flags), offset, n, flags)
PASS(ShmUnmap, (sqlite3_file *file, int remove), remove)
static void faulty_ShmBarrier(sqlite3_file *file) { faulty_real(file)->pMethods->xShmBarrier(faulty_real(file)); }
#undef PASS

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2, .xClose = faulty_Close, .xRead = faulty_Read, .xWrite = faulty_write, .xTruncate = faulty_Truncate,
    .xSync = faulty_sync, .xFileSize = faulty_FileSize, .xLock = faulty_Lock, .xUnlock = faulty_Unlock,
    .xCheckReservedLock = faulty_CheckReservedLock, .xFileControl = faulty_FileControl,
    .xSectorSize = faulty_SectorSize, .xDeviceCharacteristics = faulty_DeviceCharacteristics,
    .xShmMap = faulty_ShmMap, .xShmLock = faulty_ShmLock, .xShmBarrier = faulty_ShmBarrier,
    .xShmUnmap = faulty_ShmUnmap,
};
// clang-format on

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    sqlite3_vfs        *below = vfs->pAppData;
    struct faulty_file *faulty = (struct faulty_file *)file;
    faulty->real = (sqlite3_file *)(faulty + 1);
    int rc = below->xOpen(below, name, faulty->real, flags, out_flags);
    faulty->base.pMethods = faulty->real->pMethods ? &faulty_methods : NULL;
    return rc;
}

static void faulty_disk_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs       *below = sqlite3_vfs_find(NULL);
    vfs = *below; /* its functions find their data through pAppData: ours is only read by faulty_open */
    static sqlite3_vfs real;
    real = *below;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct faulty_file) + below->szOsFile;
    vfs.pAppData = &real;
    vfs.xOpen = faulty_open;
    vfs.pNext = NULL;
    sqlite3_vfs_register(&vfs, 1);
}
