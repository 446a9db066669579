#pragma once
// What is known of a detection method without a device: its name, the networks it needs, what it says of an image, and
// its own options. The method itself is methods/method.hpp's.
//
//   const MethodInfo& info = method_info("d3ad");         // Error that lists the known ones if there is no such method
//   for (const Attribute& a : info.attributes) use(a.name, a.title);
//   Settings s = Settings::of_method("vae_only");         // with that method's own options (model/settings.hpp)
//
// methods/registry.hpp fills the list with the methods of the library; a program adds its own there.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/model/option.hpp"

namespace d3ad {

// A number that a method gives of an image beside its score; D3AD's T̂, for example.
struct Attribute {
  std::string name;          // in files: "T_hat"
  std::string label = "";    // in text and pictures, ASCII: "T"
  std::string title = "";    // on pages: "T̂"
  std::string caption = "";  // of a histogram over images
  bool whole = false;        // a whole number
  bool listed = true;        // written to JSON
  bool brief = false;        // stands beside each score; the others are in JSON alone
  bool decides = false;      // an image of tiles has the attributes of the tile where this one is largest
};

// An attribute's value as text: a whole number, or four digits after the point.
std::string attribute_text(const Attribute& attribute, float value);

// The options that a method has for itself: a struct that describes itself (option.hpp), kept by value.
//
//   struct VaeOnlySettings { std::vector<int> layers{2, 3};  void describe(OptionTable& table); };
//   MethodSettings own(VaeOnlySettings{});
//   own.get<VaeOnlySettings>().layers = {1};
class MethodSettings {
 public:
  MethodSettings() = default;
  template <class Described>
  explicit MethodSettings(Described described) : held_(std::make_unique<Of<Described>>(std::move(described))) {}
  MethodSettings(const MethodSettings& other) : held_(other.held_ ? other.held_->copy() : nullptr) {}
  MethodSettings(MethodSettings&&) noexcept = default;
  MethodSettings& operator=(MethodSettings other) noexcept {
    held_ = std::move(other.held_);
    return *this;
  }

  void describe(OptionTable& table) {
    if (held_) held_->describe(table);
  }
  // Throws an Error if they are another method's.
  template <class Described>
  Described& get() {
    auto* held = dynamic_cast<Of<Described>*>(held_.get());
    D3AD_CHECK(held, "settings: these are not the options of the method that asks for them");
    return held->value;
  }
  template <class Described>
  const Described& get() const {
    return const_cast<MethodSettings*>(this)->get<Described>();
  }

 private:
  struct Held {
    virtual ~Held() = default;
    virtual std::unique_ptr<Held> copy() const = 0;
    virtual void describe(OptionTable& table) = 0;
  };
  template <class Described>
  struct Of final : Held {
    explicit Of(Described described) : value(std::move(described)) {}
    std::unique_ptr<Held> copy() const override { return std::make_unique<Of>(value); }
    void describe(OptionTable& table) override { value.describe(table); }
    Described value;
  };
  std::unique_ptr<Held> held_;
};

struct MethodInfo {
  std::string name;   // as --method and files have it: "d3ad"
  std::string title;  // "D3AD"
  std::string help;   // one line
  bool needs_vae = false, needs_extractor = false;
  bool reconstructs = false;            // gives the image as it would be if good
  bool adapts = false;                  // fine-tunes the extractor (Stage::adapt)
  bool scores = false;                  // gives an image's score itself; otherwise it is the map's maximum
  bool baseline = false;                // what other methods are compared with (evaluate)
  std::vector<std::string> maps;        // its raw maps; calibration.json names their ranges so
  std::vector<std::string> files = {};  // of the model's folder, besides config.json, calibration.json and the networks
  std::vector<Attribute> attributes = {};
  MethodSettings settings = {};  // defaults of its own options
};

// Error if there is no method of this name; it lists the known ones.
const MethodInfo& method_info(const std::string& name);
// The names in the order in which they were added.
std::vector<std::string> method_names();
// Replaces one of the same name. Not while another thread asks for methods.
void add_method_info(MethodInfo info);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/method_info-inl.hpp"
#endif
