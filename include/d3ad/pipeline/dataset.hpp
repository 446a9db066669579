#pragma once
// Datasets as they are published, never rearranged.
//
//   Dataset d = open_dataset("mvtec", "bottle");      // CAT/train/good, CAT/test/DEFECT,
//   CAT/ground_truth/DEFECT/NAME_mask.png Dataset d = open_dataset("photos", "");           // any folder of good
//   images (its own train/ and test/ where it has them) for (const Sample& s : d.test) ...
//
// Images are sorted by name, hidden files and files that are not images are passed over. What is odd but no error (a
// faulty image without a mask) is in `warnings`.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/pipeline/image.hpp"

namespace d3ad {

enum class Layout { automatic, mvtec, folder };

struct Sample {
  std::filesystem::path image;
  std::optional<std::filesystem::path> mask;
  std::string defect = "good";  // the folder's name; "good" for nominal images
  bool anomalous() const { return defect != "good"; }
};

struct Dataset {
  Layout layout = Layout::mvtec;
  std::string category;
  std::vector<Sample> train, test;
  std::vector<std::string> warnings;
};

namespace detail {

namespace fs = std::filesystem;

// Entries of a folder by name; Error where it cannot be read.
inline std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> out;
  fs::directory_iterator it(folder, error);
  D3AD_CHECK(!error, "folder '", folder.string(), "' cannot be read: ", error.message());
  for (; it != fs::directory_iterator(); it.increment(error)) {
    if (it->path().filename().string().front() != '.') out.push_back(it->path());
    if (error) break;
  }
  D3AD_CHECK(!error, "folder '", folder.string(), "' cannot be read: ", error.message());
  std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return out;
}
inline bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
inline std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> out;
  for (auto& path : entries(folder))
    if (is_image_name(path) && !is_folder(path)) out.push_back(std::move(path));
  return out;
}
inline std::vector<std::string> subfolders(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& path : entries(folder))
    if (is_folder(path)) out.push_back(path.filename().string());
  return out;
}

// The mask of an image: NAME_mask.EXT or NAME.EXT in its defect's folder.
inline std::optional<fs::path> find_mask(const fs::path& folder, const fs::path& image) {
  std::error_code ignored;
  for (const char* tail : {"_mask", ""})
    for (const char* ending : {".png", ".bmp", ".jpg", ".jpeg", ".PNG", ".BMP", ".JPG"}) {
      const auto path = folder / (image.stem().string() + tail + ending);
      if (fs::exists(path, ignored)) return path;
    }
  return std::nullopt;
}

}  // namespace detail

// Folders of `root` that are categories in MVTec AD's layout.
inline std::vector<std::string> list_categories(const std::filesystem::path& root) {
  std::vector<std::string> out;
  for (const auto& name : detail::subfolders(root))
    if (detail::is_folder(root / name / "train")) out.push_back(name);
  return out;
}

// category "": `root` is the category's own folder.
inline Dataset open_dataset(const std::filesystem::path& root, const std::string& category,
                            Layout layout = Layout::automatic) {
  D3AD_CHECK(detail::is_folder(root), "data folder '", root.string(),
             "' is not there; give the folder that holds the "
             "categories, or one of images, with --data");
  D3AD_CHECK(category.find('/') == std::string::npos && category != "..", "category '", category,
             "' is not a name of a folder");
  const auto folder = category.empty() ? root : root / category;
  if (!detail::is_folder(folder)) {
    std::string known;
    for (const auto& name : list_categories(root)) known += (known.empty() ? "" : ", ") + name;
    fail("category '", category, "' is not in '", root.string(), "'; ",
         known.empty() ? "there are no categories in MVTec AD's layout" : "there are: " + known);
  }
  Dataset out;
  out.category = category.empty() ? std::filesystem::absolute(folder).lexically_normal().filename().string() : category;
  if (out.category.empty()) out.category = "images";
  const bool has_train = detail::is_folder(folder / "train");
  D3AD_CHECK(layout != Layout::mvtec || has_train, "'", folder.string(),
             "' is not in MVTec AD's layout: it has no folder train/good");
  out.layout = layout == Layout::automatic ? (has_train ? Layout::mvtec : Layout::folder) : layout;

  if (out.layout == Layout::folder) {
    for (auto& path : detail::images_in(folder)) out.train.push_back({std::move(path), {}, "good"});
  } else {
    const auto good = detail::is_folder(folder / "train" / "good") ? folder / "train" / "good" : folder / "train";
    for (auto& path : detail::images_in(good)) out.train.push_back({std::move(path), {}, "good"});
    if (detail::is_folder(folder / "test")) {
      std::size_t without = 0;
      for (const auto& defect : detail::subfolders(folder / "test"))
        for (auto& path : detail::images_in(folder / "test" / defect)) {
          Sample sample{path, {}, defect};
          if (sample.anomalous()) {
            sample.mask = detail::find_mask(folder / "ground_truth" / defect, path);
            without += !sample.mask;
          }
          out.test.push_back(std::move(sample));
        }
      if (without)
        out.warnings.push_back(concat(without, " faulty test images of '", out.category,
                                      "' have no mask in ground_truth/; they count for images, not for pixels"));
    }
  }
  D3AD_CHECK(!out.train.empty(), "'", folder.string(), "' holds no good images (PNG, JPEG or BMP) to learn from",
             out.layout == Layout::mvtec ? "; they belong in train/good" : "");
  return out;
}

// What a command line names: image files, folders (their images, by name) and lists (.txt, a path a line).
inline std::vector<std::filesystem::path> collect_images(const std::vector<std::filesystem::path>& given) {
  std::vector<std::filesystem::path> out;
  for (const auto& path : given) {
    if (detail::is_folder(path)) {
      auto images = detail::images_in(path);
      D3AD_CHECK(!images.empty(), "folder '", path.string(), "' holds no images (PNG, JPEG or BMP)");
      out.insert(out.end(), images.begin(), images.end());
    } else if (path.extension() == ".txt") {
      const std::string text = read_file(path, std::size_t{64} << 20);
      std::size_t start = 0;
      while (start < text.size()) {
        std::size_t end = std::min(text.find('\n', start), text.size());
        std::string line = text.substr(start, end - start);
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!line.empty()) out.emplace_back(line);
        start = end + 1;
      }
    } else {
      out.push_back(path);
    }
  }
  return out;
}

}  // namespace d3ad
