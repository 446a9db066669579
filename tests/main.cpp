// The test program's main: doctest's own. `unit --help` lists its options, `unit -tc="UNet*"` runs some cases.

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
