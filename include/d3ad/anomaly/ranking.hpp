#pragma once
// A ranking: scores of two classes, sorted once, from which every threshold-based metric is read in one pass.
//
//   Ranking ranking;
//   ranking.add(score, positive);            any number of times; positives may carry a group (a region's number)
//   ranking.sort();
//   ranking.descend([](const Ranking::Point& p) { ... });       each distinct score as threshold, from the highest down
//
// Scores equal to the threshold count as above it, so ties are one step. Negatives, nearly all of a test set's pixels,
// are kept as 4 bytes each (and 4 more while they are sorted), positives as 8. Sorting takes time linear in their
// number.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "d3ad/core/check.hpp"

namespace d3ad::anomaly {

class Ranking {
 public:
  struct Point {
    float threshold;  // scores >= it are called positive
    std::int64_t true_positives, false_positives;
    std::size_t first, last;  // the positives at exactly this score: group(first) ... group(last - 1)
  };

  void add(float score, bool positive, std::uint32_t group = 0) {
    D3AD_CHECK(std::isfinite(score), "metrics: a score is ", score, "; are a network's weights damaged?");
    if (positive) {
      positives_.push_back(std::uint64_t{key(score)} << 32 | group);
    } else {
      negatives_.push_back(key(score));
    }
    sorted_ = false;
  }

  // Both classes from the highest score to the lowest.
  void sort() {
    if (sorted_) return;
    radix_sort(negatives_);
    std::sort(positives_.begin(), positives_.end());
    sorted_ = true;
  }

  std::int64_t positives() const { return static_cast<std::int64_t>(positives_.size()); }
  std::int64_t negatives() const { return static_cast<std::int64_t>(negatives_.size()); }
  bool one_class() const { return positives_.empty() || negatives_.empty(); }
  std::uint32_t group(std::size_t i) const { return static_cast<std::uint32_t>(positives_[i]); }
  float positive_score(std::size_t i) const { return score(static_cast<std::uint32_t>(positives_[i] >> 32)); }

  // Extremes over both classes; only if there are any scores.
  float highest() const { return extreme(true); }
  float lowest() const { return extreme(false); }

  // Negatives above `threshold` (strictly).
  std::int64_t negatives_above(double threshold) const {
    check_sorted();
    return std::partition_point(negatives_.begin(), negatives_.end(),
                                [&](std::uint32_t k) { return double{score(k)} > threshold; }) -
           negatives_.begin();
  }

  template <class Visit>
  void descend(Visit&& visit) const {
    check_sorted();
    std::size_t p = 0, n = 0;
    while (p < positives_.size() || n < negatives_.size()) {
      // Keys grow as scores fall: the next threshold is the smaller key.
      std::uint32_t next = UINT32_MAX;
      if (p < positives_.size()) next = static_cast<std::uint32_t>(positives_[p] >> 32);
      if (n < negatives_.size()) next = std::min(next, negatives_[n]);
      const std::size_t first = p;
      while (p < positives_.size() && static_cast<std::uint32_t>(positives_[p] >> 32) == next) ++p;
      while (n < negatives_.size() && negatives_[n] == next) ++n;
      visit(Point{score(next), static_cast<std::int64_t>(p), static_cast<std::int64_t>(n), first, p});
    }
  }

 private:
  // Unsigned integers in the opposite order of the floats; -0 and 0 are one.
  static std::uint32_t key(float score) {
    const auto u = std::bit_cast<std::uint32_t>(score == 0.0f ? 0.0f : score);
    return ~(u >> 31 ? ~u : u | 0x80000000u);
  }
  static float score(std::uint32_t key) {
    const std::uint32_t u = ~key;
    return std::bit_cast<float>(u >> 31 ? u & 0x7fffffffu : ~u);
  }

  static void radix_sort(std::vector<std::uint32_t>& keys) {
    if (keys.size() < 4096) {
      std::sort(keys.begin(), keys.end());
      return;
    }
    constexpr unsigned kBits = 11, kBuckets = 1u << kBits;
    std::vector<std::uint32_t> other(keys.size());
    for (unsigned shift = 0; shift < 32; shift += kBits) {
      std::array<std::size_t, kBuckets> start{};
      for (const std::uint32_t k : keys) ++start[k >> shift & (kBuckets - 1)];
      std::size_t sum = 0;
      for (auto& s : start) {
        const std::size_t count = s;
        s = sum;
        sum += count;
      }
      for (const std::uint32_t k : keys) other[start[k >> shift & (kBuckets - 1)]++] = k;
      keys.swap(other);
    }
  }

  void check_sorted() const { D3AD_CHECK(sorted_, "metrics: the ranking has to be sorted first"); }

  float extreme(bool highest) const {
    check_sorted();
    D3AD_CHECK(!positives_.empty() || !negatives_.empty(), "metrics: there are no scores");
    std::uint32_t k = highest ? UINT32_MAX : 0;
    const auto consider = [&](std::uint32_t other) { k = highest ? std::min(k, other) : std::max(k, other); };
    if (!positives_.empty())
      consider(static_cast<std::uint32_t>((highest ? positives_.front() : positives_.back()) >> 32));
    if (!negatives_.empty()) consider(highest ? negatives_.front() : negatives_.back());
    return score(k);
  }

  std::vector<std::uint32_t> negatives_;
  std::vector<std::uint64_t> positives_;  // key, group
  bool sorted_ = false;
};

}  // namespace d3ad::anomaly
