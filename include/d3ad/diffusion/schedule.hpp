#pragma once
// The noise schedule: how much of the signal is left after t steps of noising (METHOD.md, section 3).
//
//   Schedule schedule;                     beta linear from 0.0015 to 0.0195 in 1000 steps
//   schedule.beta(t)                       t in 0 ... steps() - 1
//   schedule.alpha_bar(t)                  product of 1 - beta(0) ... 1 - beta(t); t = -1 gives 1
//
// The betas are spaced in double, then rounded to float; 1 - beta is float, the product double, each alpha_bar rounded
// to float. That gives the reference's bits.

#include <cstddef>
#include <vector>

#include "d3ad/core/check.hpp"

namespace d3ad {

class Schedule {
 public:
  struct Config {
    double beta_first = 0.0015, beta_last = 0.0195;
    int steps = 1000;
  };

  Schedule() : Schedule(Config{}) {}
  explicit Schedule(Config config) {
    D3AD_CHECK(config.steps >= 1 && config.steps <= 1000000, "schedule: ", config.steps,
               " steps, expected 1 to 1000000");
    for (const double beta : {config.beta_first, config.beta_last})
      D3AD_CHECK(beta > 0 && beta < 1, "schedule: a beta of ", beta, " is not between 0 and 1");
    const int last = config.steps - 1;
    const double spacing = last > 0 ? (config.beta_last - config.beta_first) / last : 0.0;
    double product = 1;
    alpha_bar_.push_back(1.0f);
    for (int t = 0; t <= last; ++t) {
      const double beta = t == last && t > 0 ? config.beta_last : t * spacing + config.beta_first;
      beta_.push_back(static_cast<float>(beta));
      product *= double{1.0f - beta_.back()};
      alpha_bar_.push_back(static_cast<float>(product));
    }
  }

  int steps() const { return static_cast<int>(beta_.size()); }
  float beta(int t) const {
    D3AD_CHECK(t >= 0 && t < steps(), "schedule: step ", t, " is not one of 0 ... ", steps() - 1);
    return beta_[static_cast<std::size_t>(t)];
  }
  float alpha_bar(int t) const {
    D3AD_CHECK(t >= -1 && t < steps(), "schedule: step ", t, " is not one of -1 ... ", steps() - 1);
    return alpha_bar_[static_cast<std::size_t>(t + 1)];
  }

 private:
  std::vector<float> beta_, alpha_bar_;  // alpha_bar_[t + 1] belongs to step t
};

}  // namespace d3ad
