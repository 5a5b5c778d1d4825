#include "org/org.h"
