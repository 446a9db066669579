#pragma once
// Progress of long work on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere.
//
//   Progress progress("train", 3000, "images", 16);     // 16 images a step
//   progress.show(step, "loss 0.0512");
//   progress.finish();

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "d3ad/data/table.hpp"

namespace command_line {

// "train [####....] 3/10  1.5 images/s  4 s left  loss 0.1", with a bar as long as fits in `columns` (at most 24 cells,
// none below 4) and never wider than that: a line that wraps cannot be drawn over. columns 0: plain, without a bar.
inline std::string progress_line(const std::string& label, std::int64_t done, std::int64_t total,
                                 const std::string& rest, int columns) {
  const std::string counts = std::to_string(done) + "/" + std::to_string(total) + "  " + rest;
  if (columns <= 0) return label + " " + counts;
  const int cells = std::min<int>(24, columns - 1 - static_cast<int>(label.size() + counts.size() + 4));
  std::string line = label + " ";
  if (cells >= 4) {
    const auto full = static_cast<std::size_t>(cells * std::clamp<std::int64_t>(done, 0, total) / total);
    line += '[' + std::string(full, '#') + std::string(static_cast<std::size_t>(cells) - full, '.') + "] ";
  }
  line += counts;
  return line.substr(0, static_cast<std::size_t>(columns - 1));
}

class Progress {
 public:
  // unit and per_step: what the rate counts. seconds: between lines where there is no terminal.
  Progress(std::string label, std::int64_t total, std::string unit = "images", double per_step = 1, double seconds = 10)
      : label_(std::move(label)),
        unit_(std::move(unit)),
        total_(std::max<std::int64_t>(total, 1)),
        per_step_(per_step),
        terminal_(::isatty(STDERR_FILENO) == 1),
        every_(terminal_ ? 0.1 : seconds),
        start_(Clock::now()),
        shown_(start_) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::int64_t done, const std::string& text = "") {
    if (first_ < 0) first_ = done > 0 ? done - 1 : 0;
    const auto now = Clock::now();
    if (done < total_ && std::chrono::duration<double>(now - shown_).count() < every_) return;
    if (finished_) return;
    shown_ = now;
    const double seconds = std::max(std::chrono::duration<double>(now - start_).count(), 1e-9);
    const double rate = static_cast<double>(done - first_) / seconds;
    const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
    std::string rest;  // without a rate where the first call was the last one
    if (seconds > 0.01) rest = d3ad::fixed(rate * per_step_, 1) + ' ' + unit_ + "/s  ";
    rest += done < total_ ? d3ad::duration_text(left) + " left" : "in " + d3ad::duration_text(seconds);
    if (!text.empty()) rest += "  " + text;
    std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n",
                 progress_line(label_, done, total_, rest, terminal_ ? columns() : 0).c_str());
    std::fflush(stderr);
    open_ = terminal_;
    if (done >= total_) finish();
  }

  // Ends the line of a bar.
  void finish() {
    if (open_) std::fputc('\n', stderr);
    open_ = false;
    finished_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  // Of the terminal, asked each time: its window may be resized.
  static int columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
  }

  std::string label_, unit_;
  std::int64_t total_, first_ = -1;
  double per_step_;
  bool terminal_, open_ = false, finished_ = false;
  double every_;
  Clock::time_point start_, shown_;
};

}  // namespace command_line
