#pragma once
// Definitions of model/settings.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings.hpp"

// Every field under its own name, in the order of the files.
#define D3AD_SETTINGS_FIELDS(FIELD) \
  FIELD(preset)                     \
  FIELD(image_size)                 \
  FIELD(tile)                       \
  FIELD(tile_overlap)               \
  FIELD(base)                       \
  FIELD(multipliers)                \
  FIELD(res_blocks)                 \
  FIELD(attention)                  \
  FIELD(heads)                      \
  FIELD(augment)                    \
  FIELD(held_back)                  \
  FIELD(iterations)                 \
  FIELD(epochs)                     \
  FIELD(batch)                      \
  FIELD(learning_rate)              \
  FIELD(weight_decay)               \
  FIELD(ema)                        \
  FIELD(warmup)                     \
  FIELD(cosine_decay)               \
  FIELD(clip)                       \
  FIELD(accumulate)                 \
  FIELD(checkpointing)              \
  FIELD(seed)                       \
  FIELD(gamma)                      \
  FIELD(adapt_learning_rate)        \
  FIELD(k)                          \
  FIELD(bins)                       \
  FIELD(T_max)                      \
  FIELD(dynamic)                    \
  FIELD(steps)                      \
  FIELD(eta)                        \
  FIELD(eta2)                       \
  FIELD(omega)                      \
  FIELD(sample_posterior)           \
  FIELD(lambda)                     \
  FIELD(sigma)                      \
  FIELD(map_layers)                 \
  FIELD(dic_layer)                  \
  FIELD(false_alarm_rate)           \
  FIELD(weights)

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const Settings& s) {
  j = nlohmann::json::object();
#define D3AD_FIELD(name) j[#name] = s.name;
  D3AD_SETTINGS_FIELDS(D3AD_FIELD)
#undef D3AD_FIELD
}

// What is missing keeps the preset small's value.
D3AD_INLINE void from_json(const nlohmann::json& j, Settings& s) {
  const Settings defaults;
#define D3AD_FIELD(name) s.name = j.value(#name, defaults.name);
  D3AD_SETTINGS_FIELDS(D3AD_FIELD)
#undef D3AD_FIELD
}

}  // namespace d3ad

#undef D3AD_SETTINGS_FIELDS
