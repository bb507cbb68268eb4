/* SPDX-License-Identifier: MIT */
#include "base/base.h"
