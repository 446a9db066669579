#pragma once
// Definitions of weights/published_names.hpp. Included by it unless they are compiled.

#include "d3ad/weights/published_names.hpp"

namespace d3ad::detail {

inline std::vector<std::string_view> name_parts(std::string_view name) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

inline std::optional<int> part_number(std::string_view part) {
  int value = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (part.empty() || part.size() > 3 || error != std::errc() || end != part.data() + part.size() || value < 0)
    return std::nullopt;
  return value;
}

inline std::string joined(const std::vector<std::string_view>& parts, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < parts.size(); ++i) text += (i > first ? "." : "") + std::string(parts[i]);
  return text;
}

// CompVis' name of a tensor in one half of the autoencoder as diffusers', or nothing. levels: of the decoder.
inline std::optional<std::string> from_compvis(const std::vector<std::string_view>& p, int levels) {
  const std::string side(p[0]);
  const auto shortcut = [&](std::size_t at) {
    return p[at] == "nin_shortcut" ? "conv_shortcut." + joined(p, at + 1) : joined(p, at);
  };
  if (p.size() >= 6 && (p[1] == "down" || p[1] == "up")) {
    const auto level = part_number(p[2]);
    const bool down = side == "encoder" && p[1] == "down", up = side == "decoder" && p[1] == "up";
    if (!level || !(down || up) || (up && *level >= levels)) return std::nullopt;
    const std::string at =
        up ? concat("decoder.up_blocks.", levels - 1 - *level) : concat("encoder.down_blocks.", *level);
    if (p[3] == "block" && part_number(p[4])) return concat(at, ".resnets.", *part_number(p[4]), '.', shortcut(5));
    const std::string_view resample = up ? "upsample" : "downsample";
    if (p[3] == resample && p[4] == "conv") return concat(at, '.', resample, "rs.0.conv.", joined(p, 5));
    return std::nullopt;
  }
  if (p.size() >= 4 && p[1] == "mid") {
    if (p[2] == "block_1") return concat(side, ".mid_block.resnets.0.", joined(p, 3));
    if (p[2] == "block_2") return concat(side, ".mid_block.resnets.1.", joined(p, 3));
    if (p[2] != "attn_1" || p.size() < 5) return std::nullopt;
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kParts{
        {{"norm", "group_norm"}, {"q", "to_q"}, {"k", "to_k"}, {"v", "to_v"}, {"proj_out", "to_out.0"}}};
    for (const auto& [theirs, ours] : kParts)
      if (p[3] == theirs) return concat(side, ".mid_block.attentions.0.", ours, '.', joined(p, 4));
    return std::nullopt;
  }
  if (p.size() >= 3 && p[1] == "norm_out") return concat(side, ".conv_norm_out.", joined(p, 2));
  return std::nullopt;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::string own_name(std::string_view name, int decoder_levels) {
  const auto parts = detail::name_parts(name);
  const bool encoder = parts[0] == "encoder";
  if (parts.size() < 3 || (!encoder && parts[0] != "decoder")) return std::string(name);
  if (parts.size() >= 4 && parts[1] == "layers") {
    if (const auto index = detail::part_number(parts[2]))
      return concat(parts[0], '.', *index + (encoder ? 0 : 1), '.', detail::joined(parts, 3));
    return std::string(name);
  }
  return detail::from_compvis(parts, decoder_levels).value_or(std::string(name));
}

}  // namespace d3ad

namespace d3ad {

D3AD_INLINE PublishedNames::PublishedNames(const std::vector<std::string>& stored, const std::string& prefix)
    : prefix_(prefix) {
  int levels = 0;
  for (const std::string& name : stored) {
    if (!name.starts_with(prefix)) continue;
    const std::string plain = unwrapped(name);
    const auto parts = detail::name_parts(plain);
    if (parts.size() < 3 || parts[0] != "decoder" || parts[1] != "up") continue;
    if (const auto level = detail::part_number(parts[2])) levels = std::max(levels, *level + 1);
  }
  for (const std::string& name : stored) {
    if (!name.starts_with(prefix)) continue;
    auto own = own_name(unwrapped(name), levels);
    const auto [at, is_new] = by_own_.try_emplace(own, name);
    if (!is_new && name.size() < at->second.size()) at->second = name;  // the one without wrapper comes first
    own_.emplace(name, std::move(own));
  }
}

D3AD_INLINE const std::string* PublishedNames::find(const std::string& own) const {
  const auto found = by_own_.find(own);
  return found == by_own_.end() ? nullptr : &found->second;
}

D3AD_INLINE bool PublishedNames::respelt() const {
  return std::any_of(own_.begin(), own_.end(),
                     [this](const auto& item) { return item.second != unwrapped(item.first); });
}

D3AD_INLINE std::string PublishedNames::unwrapped(std::string_view name) const {
  name.remove_prefix(prefix_.size());
  for (int i = 0; i < 2; ++i)
    for (const std::string_view wrapper : kWrappers)
      if (name.starts_with(wrapper)) {
        name.remove_prefix(wrapper.size());
        break;
      }
  return std::string(name);
}

}  // namespace d3ad
