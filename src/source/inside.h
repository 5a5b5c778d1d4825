/* inside.h - what the files of source/ share among themselves. */
#pragma once
#include "source/source.h"

bool source_name_valid(struct str source); /* ^[a-z][a-z0-9-]{0,49}$ */
bool source_reference_type_valid(struct str type);
