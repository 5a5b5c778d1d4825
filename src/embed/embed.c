#include "embed/embed.h"
