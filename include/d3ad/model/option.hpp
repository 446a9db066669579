#pragma once
// Options, each described once: from the description come JSON (option_json.hpp), text, ranges, presets, the command
// line's options with their help, and the stage at which an ablation changes one.
//
//   struct BlurSettings {
//     double sigma = 4;                                                   // the default
//     void describe(OptionTable& table) {
//       table.group("Blur", Stage::mix);
//       table.add(sigma, {.name = "sigma", .help = "Width of the blur", .most = 100, .above = 0, .unit = "pixels"});
//     }
//   };
//   BlurSettings blur;
//   const OptionTable options = options_of(blur);      // refers to blur's fields; use it while blur lives
//   options.at("sigma").set("sigma", "2.5");           // Error if the text is no number
//   options.check();                                   // Error: "sigma is 400, expected more than 0 and at most 100 pixels"
//   options.set_paper();                               // the paper's values, if they differ from the defaults
//
// Any struct can describe itself so; describe() of several structs can fill one table, in which names are unique.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad {

// Where an option enters. The stages follow each other, and what came before an option's stage does not depend on it.
// T_max, for example, enters at `calibrate`; an adaptation reads it too, but keeps the value of the model.
enum class Stage {
  train,      // networks are trained from scratch
  adapt,      // the feature extractor is fine-tuned
  calibrate,  // what is learned from good images with the finished networks: noise levels, ranges of the maps
  detect,     // an image is analysed
  map,        // layers are compared
  mix,        // maps are weighed and blurred
  threshold   // scores are judged
};

// What is said of an option beside its type and its default, which are the field's.
struct OptionInfo {
  const char* name = "";  // the key in JSON
  const char* help = "";  // one line that starts with a noun or a verb; range and default are added from the rest
  // Range of a number, or of each number of a list.
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
  double above = -std::numeric_limits<double>::infinity(), below = std::numeric_limits<double>::infinity();
  int multiple = 1;                  // whole numbers only: of this one
  const char* zero = "";             // what 0 stands for; with it 0 is accepted outside of the range too
  const char* unit = "";             // of a number
  std::vector<std::string> words{};  // a text has to be one of these
  bool may_be_empty = false;         // a list
  const char* paper = nullptr;       // the paper's value, as text; null: the default is the paper's
  const char* reason = "";           // why the default is not the paper's; completes "because"
  bool also_at_detection = false;    // detection may use another value than training did
};

// All of `text` as a number. said: what begins the sentence of the Error if it is none: "SAID TEXT: expected ...".
double number_from_text(const std::string& said, const std::string& text);
int whole_from_text(const std::string& said, const std::string& text);

// One option of a struct: its description, and the field it is kept in. Copies refer to the same field.
class Option {
 public:
  using Field = std::variant<bool*, int*, std::uint64_t*, double*, std::string*, std::vector<int>*>;

  Option(Field field, OptionInfo info, const char* group, Stage stage)
      : field_(field), info_(std::move(info)), group_(group), stage_(stage) {}

  const OptionInfo& info() const { return info_; }
  std::string name() const { return info_.name; }
  const char* group() const { return group_; }
  Stage stage() const { return stage_; }
  const Field& field() const { return field_; }
  bool whole() const { return std::holds_alternative<int*>(field_) || std::holds_alternative<std::uint64_t*>(field_); }
  bool numeric() const { return whole() || std::holds_alternative<double*>(field_); }
  bool list() const { return std::holds_alternative<std::vector<int>*>(field_); }

  // The type, as an error names it.
  const char* type_text() const;
  // What values it takes: "0 (none) to below 1", "a multiple of 32 from 64 to 2048 pixels", "none, flip or dihedral".
  std::string range_text() const;
  // The value in its shortest form: "true", "20", "0.0002", "2,3".
  std::string text() const;
  // Reads the value from text; an Error "SAID TEXT: expected ..." if it is of another type. Ranges: see check().
  void set(const std::string& said, const std::string& text) const;
  // Throws an Error with name, value and range if the value is out of its range.
  void check() const;

 private:
  std::string limits_text(const std::string& zero) const;
  void check_number(double value, const char* is) const;

  Field field_;
  OptionInfo info_;
  const char* group_;
  Stage stage_;
};

// The options of one or several structs, in the order of their descriptions.
class OptionTable {
 public:
  // What follows belongs to this group (a heading of --help) and enters at this stage.
  void group(const char* name, Stage stage) { group_ = name, stage_ = stage; }
  // For those of a group that enter later.
  void stage(Stage stage) { stage_ = stage; }
  // field: bool, int, std::uint64_t, double, std::string or std::vector<int>; has to outlive the table.
  template <class T>
  void add(T& field, OptionInfo info) {
    add(Option::Field(&field), std::move(info));
  }

  auto begin() const { return options_.begin(); }
  auto end() const { return options_.end(); }
  std::size_t size() const { return options_.size(); }
  // Null if there is no option of this name.
  const Option* find(const std::string& name) const;
  const Option& at(const std::string& name) const;

  // Of every option.
  void check() const;
  void set_paper() const;

 private:
  void add(Option::Field field, OptionInfo info);

  std::vector<Option> options_;
  const char* group_ = "";
  Stage stage_ = Stage::train;
};

// The options of a struct that describes itself; they refer to its fields.
template <class Described>
OptionTable options_of(Described& described) {
  OptionTable table;
  described.describe(table);
  return table;
}

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/option-inl.hpp"
#endif
