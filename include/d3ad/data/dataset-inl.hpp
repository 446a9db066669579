#pragma once
// Definitions of data/dataset.hpp. Included by it unless they are compiled.

#include "d3ad/data/dataset.hpp"

namespace d3ad {

D3AD_INLINE const char* name(Layout layout) {
  static constexpr const char* kNames[] = {"automatic", "MVTec AD",         "VisA",
                                           "BTAD",      "folder of images", "list of images"};
  return kNames[static_cast<int>(layout)];
}

D3AD_INLINE Image sample_mask(const Sample& sample) {
  Image mask = read_mask(*sample.mask);
  if (sample.mask_of_numbers)
    for (auto& v : mask.pixels) v = v > 0 ? 255 : 0;
  return mask;
}

}  // namespace d3ad

namespace d3ad::detail {

// Entries of a folder by name; Error if it cannot be read.
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

inline std::vector<Sample> good_samples(std::vector<fs::path> paths) {
  std::vector<Sample> out;
  for (auto& path : paths) out.push_back({std::move(path), {}, "good"});
  return out;
}

// test/DEFECT with masks in ground_truth/DEFECT; `good` is the folder's name for nominal images.
inline void find_test(Dataset& out, const fs::path& folder, const std::string& good) {
  if (!is_folder(folder / "test")) return;
  std::size_t without = 0;
  for (const auto& defect : subfolders(folder / "test"))
    for (auto& path : images_in(folder / "test" / defect)) {
      Sample sample{path, {}, defect == good ? "good" : defect};
      if (sample.anomalous()) {
        sample.mask = find_mask(folder / "ground_truth" / defect, path);
        without += !sample.mask;
      }
      out.test.push_back(std::move(sample));
    }
  if (without)
    out.warnings.push_back(concat(without, " faulty test images of '", out.category,
                                  "' have no mask in ground_truth/; they count for images, not for pixels"));
}

inline fs::path visa_list(const fs::path& root) { return root / "split_csv" / "1cls.csv"; }

// A path that the list names, which has to stay inside the dataset.
inline fs::path inside(const fs::path& root, const std::string& name, const fs::path& list) {
  const fs::path path = fs::path(name).lexically_normal();
  D3AD_CHECK(!path.empty() && path.is_relative() && *path.begin() != "..", "'", list.string(), "' names '", name,
             "', which is not inside the dataset");
  return root / path;
}

inline void find_visa(Dataset& out, const fs::path& root) {
  const auto list = visa_list(root);
  const auto lines = read_lines(list);
  const std::vector<std::string> header{"object", "split", "label", "image", "mask"};
  D3AD_CHECK(!lines.empty() && csv_fields(lines.front()) == header, "'", list.string(),
             "' does not begin with object,split,label,image,mask");
  std::size_t without = 0;
  std::vector<std::string> objects;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto f = csv_fields(lines[i]);
    D3AD_CHECK(
        f.size() == header.size() && (f[1] == "train" || f[1] == "test") && (f[2] == "normal" || f[2] == "anomaly"),
        "'", list.string(), "', line ", i + 1, ": '", lines[i],
        "' is not object, train or test, normal or anomaly, image, mask");
    if (std::find(objects.begin(), objects.end(), f[0]) == objects.end()) objects.push_back(f[0]);
    if (f[0] != out.category) continue;
    Sample sample{inside(root, f[3], list), {}, f[2] == "normal" ? "good" : "anomaly", true};
    if (sample.anomalous() && !f[4].empty()) sample.mask = inside(root, f[4], list);
    without += sample.anomalous() && !sample.mask;
    D3AD_CHECK(f[1] == "test" || !sample.anomalous(), "'", list.string(), "', line ", i + 1,
               ": a faulty image among those to learn from");
    (f[1] == "train" ? out.train : out.test).push_back(std::move(sample));
  }
  std::string known;
  for (const auto& o : objects) known += (known.empty() ? "" : ", ") + o;
  D3AD_CHECK(!out.train.empty() || !out.test.empty(), "category '", out.category, "' is not in '", list.string(),
             "'; there are: ", known);
  if (without)
    out.warnings.push_back(concat(without, " faulty test images of '", out.category,
                                  "' have no mask in the list; they count for images, not for pixels"));
}

inline void find_list(Dataset& out, const fs::path& list) {
  for (const auto& line : read_lines(list)) out.train.push_back({list.parent_path() / line, {}, "good"});
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::vector<std::string> list_categories(const std::filesystem::path& root) {
  std::vector<std::string> out;
  for (const auto& name : detail::subfolders(root))
    if (detail::is_folder(root / name / "train") || detail::is_folder(root / name / "Data" / "Images"))
      out.push_back(name);
  return out;
}

D3AD_INLINE Dataset open_dataset(const std::filesystem::path& root, const std::string& category, Layout layout) {
  namespace fs = std::filesystem;
  Dataset out;
  if (!detail::is_folder(root) && fs::is_regular_file(root)) {
    D3AD_CHECK(category.empty(), "'", root.string(), "' is a list of images, which has no category '", category, "'");
    D3AD_CHECK(layout == Layout::automatic || layout == Layout::list, "'", root.string(),
               "' is a file, not a folder in ", name(layout), "'s layout");
    D3AD_CHECK(!is_image_name(root), "'", root.string(),
               "' is one image; give a folder of them, or a text file with a path on each line");
    out.layout = Layout::list;
    out.category = root.stem().string();
    detail::find_list(out, root);
    D3AD_CHECK(!out.train.empty(), "list '", root.string(), "' names no images");
    return out;
  }
  D3AD_CHECK(detail::is_folder(root), "data folder '", root.string(),
             "' is not there, expected the folder that holds the categories, or one of images");
  D3AD_CHECK(category.find('/') == std::string::npos && category != "..", "category '", category,
             "' is not a name of a folder");
  const auto folder = category.empty() ? root : root / category;
  if (!detail::is_folder(folder)) {
    std::string known;
    for (const auto& name : list_categories(root)) known += (known.empty() ? "" : ", ") + name;
    fail("category '", category, "' is not in '", root.string(), "'; ",
         known.empty() ? "there are no categories in a layout that is known" : "there are: " + known);
  }
  const auto own = (fs::absolute(folder) / "").lexically_normal().parent_path();  // without a slash or dot at its end
  out.category = category.empty() ? own.filename().string() : category;
  if (out.category.empty()) out.category = "images";
  const bool has_train = detail::is_folder(folder / "train");
  const auto visa_root = category.empty() ? own.parent_path() : root;
  if (layout == Layout::automatic)
    layout = detail::is_folder(folder / "train" / "ok")      ? Layout::btad
             : has_train                                     ? Layout::mvtec
             : detail::is_folder(folder / "Data" / "Images") ? Layout::visa
                                                             : Layout::folder;
  out.layout = layout;
  switch (layout) {
    case Layout::mvtec:
      D3AD_CHECK(has_train, "'", folder.string(), "' is not in MVTec AD's layout: it has no folder train/good");
      out.train = detail::good_samples(detail::images_in(
          detail::is_folder(folder / "train" / "good") ? folder / "train" / "good" : folder / "train"));
      detail::find_test(out, folder, "good");
      break;
    case Layout::btad:
      D3AD_CHECK(detail::is_folder(folder / "train" / "ok"), "'", folder.string(),
                 "' is not in BTAD's layout: it has no folder train/ok");
      out.train = detail::good_samples(detail::images_in(folder / "train" / "ok"));
      detail::find_test(out, folder, "ok");
      break;
    case Layout::visa:
      D3AD_CHECK(fs::exists(detail::visa_list(visa_root)), "'", visa_root.string(),
                 "' is not in VisA's layout: it has no split_csv/1cls.csv, which says what to learn from");
      detail::find_visa(out, visa_root);
      break;
    default:
      out.train = detail::good_samples(detail::images_in(folder));
  }
  D3AD_CHECK(!out.train.empty(), "'", folder.string(), "' holds no good images (PNG, JPEG or BMP) to learn from",
             layout == Layout::mvtec  ? "; they belong in train/good"
             : layout == Layout::btad ? "; they belong in train/ok"
                                      : "");
  return out;
}

D3AD_INLINE std::vector<std::filesystem::path> collect_images(const std::vector<std::filesystem::path>& given) {
  std::vector<std::filesystem::path> out;
  for (const auto& path : given) {
    if (detail::is_folder(path)) {
      auto images = detail::images_in(path);
      D3AD_CHECK(!images.empty(), "folder '", path.string(), "' holds no images (PNG, JPEG or BMP)");
      out.insert(out.end(), images.begin(), images.end());
    } else if (path.extension() == ".txt") {
      for (auto& line : read_lines(path)) out.emplace_back(std::move(line));
    } else {
      out.push_back(path);
    }
  }
  return out;
}

}  // namespace d3ad
