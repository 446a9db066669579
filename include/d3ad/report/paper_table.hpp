#pragma once
// The numbers of the paper (METHOD.md, section 9), in percent: its table of MVTec AD, six methods by category, and of
// VisA the averages of pixel AUROC, which is all it has of that data set. It has none of BTAD's categories.
//
//   const PaperDataset* mvtec = find_paper_dataset("mvtec");
//   paper_score(*mvtec, "metal_nut", "D3AD")          {98.9, 96.1, 89.7}; nothing if the paper has no such number
//
// Categories are found by their letters and digits alone: "metal_nut" is "Metal nut".

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace d3ad {

// Percent; NaN: not in the paper.
struct PaperScore {
  double i_auroc = NAN, p_auroc = NAN, pro = NAN;
};

struct PaperDataset {
  struct Category {
    const char* name;
    const char* scores;  // "I-AUROC P-AUROC PRO | ..." of each method; "": the paper has none of this category
  };

  const char *key, *name;            // as on the command line, as in the paper
  std::vector<const char*> methods;  // the paper's own, D3AD, is the last
  std::vector<Category> categories;  // in the paper's order
  const char* averages;              // of each method over all categories, as published
};

inline const std::vector<PaperDataset>& paper_datasets() {
  static const std::vector<PaperDataset> all{
      {"mvtec",
       "MVTec AD",
       {"PatchCore", "SimpleNet", "RD++", "SkipGANomaly", "DRAEM", "D3AD"},
       {{"Carpet", "98.7 99.0 96.6 | 99.7 98.2 - | 100 99.2 97.7 | 70.9 - - | 97.0 95.5 92.9 | 94.2 97.6 95.1"},
        {"Grid", "98.2 98.7 96.0 | 99.7 98.8 - | 100 99.3 97.7 | 47.7 - - | 99.9 99.7 98.4 | 100 99.2 96.9"},
        {"Leather", "100 99.3 98.9 | 100 99.2 - | 100 99.4 99.2 | 60.9 - - | 100 98.6 98.0 | 98.5 99.4 98.1"},
        {"Tile", "98.7 95.4 87.3 | 99.8 97.0 - | 99.7 96.6 92.4 | 29.9 - - | 99.6 99.2 98.9 | 95.5 94.7 93.6"},
        {"Wood", "99.2 95.0 89.4 | 100 94.5 - | 99.3 95.8 93.3 | 19.9 - - | 99.1 96.4 94.6 | 99.7 95.9 91.0"},
        {"Bottle", "100 98.6 96.2 | 100 98.0 - | 100 98.8 97.0 | 85.2 - - | 99.2 99.1 97.2 | 100 98.6 96.0"},
        {"Cable", "99.5 98.4 92.5 | 99.9 97.6 - | 99.2 98.4 93.9 | 54.4 - - | 91.8 94.7 76.0 | 97.8 93.3 87.3"},
        {"Capsule", "98.1 98.8 95.5 | 97.7 98.9 - | 99.0 98.8 96.4 | 54.3 - - | 98.5 94.3 91.7 | 96.6 97.9 90.7"},
        {"Hazelnut", "100 98.7 93.8 | 100 97.9 - | 100 99.2 96.3 | 24.5 - - | 100 99.7 98.1 | 98.0 98.8 91.8"},
        {"Metal nut", "100 98.4 91.4 | 100 98.8 - | 100 98.1 93.0 | 81.4 - - | 98.7 99.5 94.1 | 98.9 96.1 89.7"},
        {"Pill", "96.6 97.4 93.2 | 99.0 98.6 - | 98.4 98.3 97.0 | 67.1 - - | 98.9 97.6 88.9 | 99.2 98.2 96.2"},
        {"Screw", "98.1 99.4 97.9 | 98.2 99.3 - | 98.9 99.7 98.6 | 87.9 - - | 93.9 97.6 98.2 | 83.9 99.0 95.5"},
        {"Toothbrush", "100 98.7 91.5 | 99.7 98.5 - | 100 99.1 94.2 | 58.6 - - | 100 98.1 90.3 | 100 99.0 94.6"},
        {"Transistor", "100 96.3 83.7 | 100 97.6 - | 98.5 94.3 81.8 | 84.5 - - | 93.1 90.9 81.6 | 96.8 95.6 86.9"},
        {"Zipper", "99.4 98.8 97.1 | 99.9 98.9 - | 98.6 98.8 96.3 | 76.1 - - | 100 98.8 96.3 | 98.2 98.3 95.3"}},
       "99.1 98.1 93.4 | 99.6 98.1 - | 99.4 98.3 95.0 | 60.2 - - | 98.0 97.3 93.0 | 97.2 97.4 93.3"},
      {"visa",
       "VisA",
       {"SPADE", "PaDiM", "RD4AD", "PatchCore", "DRAEM", "D3AD"},
       {{"candle", ""},
        {"capsules", ""},
        {"cashew", ""},
        {"chewinggum", ""},
        {"fryum", ""},
        {"macaroni1", ""},
        {"macaroni2", ""},
        {"pcb1", ""},
        {"pcb2", ""},
        {"pcb3", ""},
        {"pcb4", ""},
        {"pipe_fryum", ""}},
       "- 85.6 - | - 98.1 - | - 96.5 - | - 98.8 - | - 93.5 - | - 97.9 -"},
      {"btad", "BTAD", {"D3AD"}, {{"01", ""}, {"02", ""}, {"03", ""}}, ""}};
  return all;
}

namespace detail {

// Whether two names are of one category: spaces, lines and capitals do not count.
inline bool same_category(std::string_view a, std::string_view b) {
  const auto letters = [](std::string_view text) {
    std::string out;
    for (const char c : text)
      if (std::isalnum(static_cast<unsigned char>(c))) out += static_cast<char>(std::tolower(c));
    return out;
  };
  return !letters(a).empty() && letters(a) == letters(b);
}

// The scores of one method in a list of all.
inline std::optional<PaperScore> score_in(std::string_view list, std::size_t method) {
  for (; method > 0; --method) {
    const auto bar = list.find('|');
    if (bar == std::string_view::npos) return std::nullopt;
    list.remove_prefix(bar + 1);
  }
  PaperScore out;
  for (double* value : {&out.i_auroc, &out.p_auroc, &out.pro}) {
    const auto begin = list.find_first_not_of(' ');
    if (begin == std::string_view::npos || list[begin] == '|') return std::nullopt;
    list.remove_prefix(begin);
    const char* end = std::from_chars(list.data(), list.data() + list.size(), *value).ptr;  // "-" leaves NaN
    list.remove_prefix(std::max<std::size_t>(static_cast<std::size_t>(end - list.data()), 1));
  }
  return out;
}
inline std::optional<PaperScore> score_of(const PaperDataset& dataset, std::string_view list, std::string_view method) {
  for (std::size_t m = 0; m < dataset.methods.size(); ++m)
    if (dataset.methods[m] == method) return score_in(list, m);
  return std::nullopt;
}

}  // namespace detail

// By its key; null if there is none.
inline const PaperDataset* find_paper_dataset(std::string_view key) {
  for (const auto& d : paper_datasets())
    if (d.key == key) return &d;
  return nullptr;
}

// The data set that most of the categories are of; null if none of them is of any.
inline const PaperDataset* paper_dataset_of(const std::vector<std::string>& categories) {
  const PaperDataset* best = nullptr;
  std::size_t most = 0;
  for (const auto& d : paper_datasets()) {
    std::size_t count = 0;
    for (const auto& known : d.categories)
      for (const auto& c : categories) count += detail::same_category(known.name, c);
    if (count > most) most = count, best = &d;
  }
  return best;
}

// Where a category is in the paper's table.
inline std::optional<std::size_t> paper_category(const PaperDataset& dataset, std::string_view category) {
  for (std::size_t i = 0; i < dataset.categories.size(); ++i)
    if (detail::same_category(dataset.categories[i].name, category)) return i;
  return std::nullopt;
}

inline std::optional<PaperScore> paper_score(const PaperDataset& dataset, std::string_view category,
                                             std::string_view method) {
  const auto at = paper_category(dataset, category);
  return at ? detail::score_of(dataset, dataset.categories[*at].scores, method) : std::nullopt;
}

// A method's average over all categories, as published.
inline std::optional<PaperScore> paper_average(const PaperDataset& dataset, std::string_view method) {
  return detail::score_of(dataset, dataset.averages, method);
}

}  // namespace d3ad
