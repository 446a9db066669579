#pragma once
// Datasets, read as they are published.
//
//   Dataset d = open_dataset("mvtec", "bottle");
//   for (const Sample& s : d.test) use(read_image(s.image), s.mask ? sample_mask(s) : Image());
//
//   mvtec    CAT/train/good, CAT/test/DEFECT, CAT/ground_truth/DEFECT/NAME_mask.png        (MVTec AD)
//   visa     split_csv/1cls.csv with rows object,split,label,image,mask; masks hold numbers, all above 0 are faulty
//   btad     CAT/train/ok, CAT/test/ok, CAT/test/ko, CAT/ground_truth/ko
//   folder   any folder of good images
//   list     a text file with the path of a good image on each line, from the list's own folder
//
// The layout is recognised from the files. Images are sorted by name (VisA's are in the order of its list). Hidden
// files and files that are not images are skipped. Problems that are not errors (a faulty image without a mask) are in
// `warnings`.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/data/table.hpp"

namespace d3ad {

enum class Layout { automatic, mvtec, visa, btad, folder, list };

const char* name(Layout layout);

struct Sample {
  std::filesystem::path image;
  std::optional<std::filesystem::path> mask;
  std::string defect = "good";   // the folder's name; "good" for nominal images
  bool mask_of_numbers = false;  // every value above 0 is foreground, not only those above one half
  bool anomalous() const { return defect != "good"; }
};

struct Dataset {
  Layout layout = Layout::mvtec;
  std::string category;
  std::vector<Sample> train, test;
  std::vector<std::string> warnings;
};

// The sample's mask, grey: foreground above 127.
Image sample_mask(const Sample& sample);

namespace detail {

namespace fs = std::filesystem;

}  // namespace detail

// Folders of `root` that are categories in one of the layouts that have them.
std::vector<std::string> list_categories(const std::filesystem::path& root);

// category "": `root` is the category's own folder (or a list).
Dataset open_dataset(const std::filesystem::path& root, const std::string& category, Layout layout = Layout::automatic);

// What a command line names: image files, folders (their images, by name) and lists (.txt, a path a line).
std::vector<std::filesystem::path> collect_images(const std::vector<std::filesystem::path>& given);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/dataset-inl.hpp"
#endif
