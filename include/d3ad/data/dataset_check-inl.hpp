#pragma once
// Definitions of data/dataset_check.hpp. Included by it unless they are compiled.

#include "d3ad/data/dataset-inl.hpp"
#include "d3ad/data/dataset_check.hpp"

namespace d3ad::detail {

// "a, b, c and 4 more"
inline std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) out += (i ? ", " : "") + names[i];
  if (names.size() > kShown) out += concat(" and ", names.size() - kShown, " more");
  return out;
}

inline std::string pixels_hash(const Image& image) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(image.pixels)));
  return concat(image.width, 'x', image.height, ' ', hash.hex());
}

// Masks that belong to no test image.
inline std::vector<std::string> masks_left_over(const Dataset& data) {
  std::set<fs::path> used, folders;
  for (const auto& s : data.test)
    if (s.mask) used.insert(*s.mask), folders.insert(s.mask->parent_path());
  std::vector<std::string> out;
  for (const auto& folder : folders)
    for (const auto& path : images_in(folder))
      if (!used.count(path)) out.push_back(path.string());
  return out;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE DatasetCheck check_dataset(const Dataset& data,
                                       const std::function<void(std::int64_t, std::int64_t)>& progress,
                                       const std::function<bool()>& stop) {
  DatasetCheck out;
  out.layout = data.layout;
  out.category = data.category;
  out.warnings = data.warnings;
  std::map<std::string, std::string> trained;  // pixels -> file
  std::vector<std::string> leaked, twice, other_size, empty;
  std::int64_t done = 0;
  const auto total = static_cast<std::int64_t>(data.train.size() + data.test.size());
  const auto readable = [&](const Sample& sample, auto&& use) {
    if (stop()) throw Interrupted(concat("stopped after ", done, " of ", total, " images"));
    try {
      const Image image = read_image(sample.image);
      ++out.sizes[{image.width, image.height}];
      use(image);
    } catch (const Error& error) {
      out.unreadable.push_back(error.what());
    }
    progress(++done, total);
  };
  for (const auto& sample : data.train)
    readable(sample, [&](const Image& image) {
      ++out.train;
      if (!trained.emplace(detail::pixels_hash(image), sample.image.string()).second)
        twice.push_back(sample.image.string());
    });
  for (const auto& sample : data.test)
    readable(sample, [&](const Image& image) {
      ++(sample.anomalous() ? out.faulty_tests : out.good_tests);
      ++out.defects[sample.defect];
      if (trained.count(detail::pixels_hash(image))) leaked.push_back(sample.image.string());
      if (!sample.mask) return;
      const Image mask = sample_mask(sample);
      ++out.masks;
      if (mask.width != image.width || mask.height != image.height)
        other_size.push_back(concat(sample.mask->string(), " (", mask.width, " x ", mask.height, ", its image ",
                                    image.width, " x ", image.height, ")"));
      else if (std::none_of(mask.pixels.begin(), mask.pixels.end(), [](auto v) { return v > 127; }))
        empty.push_back(sample.mask->string());
    });

  const auto warn = [&](const std::vector<std::string>& names, const char* what, const char* then) {
    if (!names.empty())
      out.warnings.push_back(concat(names.size(), ' ', what, ": ", detail::some_of(names), "; ", then));
  };
  warn(leaked, "test images are training images too", "their scores will look better than they are");
  warn(twice, "training images are copies of others", "they count more and teach nothing");
  warn(other_size, "masks have another size than their image", "they are left out; make them of one size");
  warn(empty, "masks of faulty images show nothing", "no pixel of these images counts as faulty");
  warn(detail::masks_left_over(data), "masks belong to no test image", "check their names: NAME_mask.png for NAME.png");
  if (out.sizes.size() > 1) {
    std::string sizes;
    int shown = 0;
    for (const auto& [size, count] : out.sizes)
      if (shown++ < 4) sizes += concat(sizes.empty() ? "" : ", ", count, " of ", size.first, " x ", size.second);
    out.warnings.push_back(concat("images of ", out.sizes.size(), " sizes (", sizes,
                                  out.sizes.size() > 4 ? ", ..." : "",
                                  "); all become squares of one size, so that scale and shape differ among them"));
  }
  for (const auto& [size, count] : out.sizes)
    if (size.first > 2 * size.second || size.second > 2 * size.first) {
      out.warnings.push_back(concat("images of ", size.first, " x ", size.second,
                                    " become squares: what is small across the longer side may vanish; tiles keep it"));
      break;
    }
  constexpr int kFew = 20;
  if (out.train > 0 && out.train < kFew)
    out.warnings.push_back(concat("only ", out.train, " good images to learn from; ", kFew, " or more are usual"));
  if (data.test.empty())
    out.warnings.push_back("there are no test images; detect works, evaluate needs some");
  else if (out.good_tests == 0)
    out.warnings.push_back("there are no good test images; AUROC needs both kinds");
  else if (out.faulty_tests == 0)
    out.warnings.push_back("there are no faulty test images; AUROC needs both kinds");
  return out;
}

}  // namespace d3ad
