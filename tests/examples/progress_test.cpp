// Lines of progress: the bar, and that a terminal's line never wraps.

#include "progress.hpp"

#include <doctest/doctest.h>

namespace progress_test {

using namespace command_line;
using d3ad::duration_text;

TEST_CASE("a line of progress has a bar that fits, and none without a terminal") {
  CHECK_EQ(progress_line("train", 3, 12, "8.0 images/s  4 s left  loss 0.5", 0),
           "train 3/12  8.0 images/s  4 s left  loss 0.5");
  CHECK_EQ(progress_line("train", 3, 12, "8.0 images/s", 60), "train [######..................] 3/12  8.0 images/s");
  CHECK_EQ(progress_line("train", 3, 12, "8.0 images/s", 38), "train [##........] 3/12  8.0 images/s");
  CHECK_EQ(progress_line("train", 12, 12, "in 9 s", 30), "train [#######] 12/12  in 9 s");
  CHECK_EQ(progress_line("train", 3, 12, "8.0 images/s", 30), "train 3/12  8.0 images/s");  // no room for a bar
  CHECK_EQ(progress_line("train", 3, 12, "8.0 images/s", 12), "train 3/12 ");
  for (int columns = 2; columns < 200; ++columns)
    for (const std::int64_t done : {0, 1, 499, 500, 1000, 2000}) {
      CAPTURE(columns);
      const auto line = progress_line("images", done, 1000, "8.0 images/s  4 s left  loss 0.5", columns);
      CHECK_LT(line.size(), static_cast<std::size_t>(columns));
    }
}

}  // namespace progress_test
