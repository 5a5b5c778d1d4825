#include "memory/memory.h"
