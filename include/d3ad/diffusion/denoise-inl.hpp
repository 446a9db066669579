#pragma once
// Definitions of diffusion/denoise.hpp. Included by it unless they are compiled.

#include "d3ad/diffusion/denoise.hpp"

namespace d3ad::diffusion {

D3AD_INLINE ops::StepCoefficients step_coefficients(const Schedule& schedule, int t, int next, float eta) {
  const double a = schedule.alpha_bar(t), b = schedule.alpha_bar(next);
  const double c1 = a < 1 ? double{eta} * std::sqrt((1 - a / b) * (1 - b) / (1 - a)) : 0.0;
  const double c2 = std::sqrt(std::max(1 - b - c1 * c1, 0.0));
  return {static_cast<float>(a), static_cast<float>(b), static_cast<float>(c1), static_cast<float>(c2)};
}

D3AD_INLINE DenoiseSteps denoise_steps(const Schedule& schedule, const std::vector<int>& T_hat, int steps, float eta,
                                       bool drop_first_direction) {
  D3AD_CHECK(eta >= 0 && eta <= 1, "denoise: eta is ", eta, ", expected 0 (DDIM) to 1");
  std::vector<std::vector<int>> times_of;
  std::size_t most = 0;
  for (const int T : T_hat) {
    D3AD_CHECK(T < schedule.steps(), "denoise: T_hat is ", T, ", expected less than the schedule's ", schedule.steps(),
               " steps");
    times_of.push_back(times(T, steps));
    most = std::max(most, times_of.back().size());
  }
  DenoiseSteps timetable;
  for (std::size_t left = most; left > 0; --left) {  // steps left, this one included
    DenoiseSteps::Step step;
    for (const auto& s : times_of) {
      if (left > s.size()) {
        step.t.push_back(s.empty() ? 0 : s.back());
        step.coefficients.push_back(ops::kIdle);
        continue;
      }
      const int t = s[left - 1], next = left > 1 ? s[left - 2] : -1;
      step.t.push_back(t);
      step.coefficients.push_back(step_coefficients(schedule, t, next, eta));
      if (drop_first_direction && left == s.size()) step.coefficients.back().c2 = 0;
    }
    timetable.steps.push_back(std::move(step));
  }
  return timetable;
}

}  // namespace d3ad::diffusion
