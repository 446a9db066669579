#pragma once
// Options as JSON: one key an option, whatever structs they are in.
//
//   nlohmann::json object;
//   write_options(object, options_of(settings));       // {"k": 20, "T_max": 400, ...}, beside what the object holds
//   read_options(object, options_of(settings));        // keys that are not there leave their fields alone
//
// Types are strict: a whole number is not 2.7 and not true. Ranges are OptionTable::check()'s.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "d3ad/core/compiled.hpp"
#include "d3ad/model/option.hpp"

namespace d3ad {

nlohmann::json option_json(const Option& option);
// Sets the option; an Error "k is 2.7, expected a whole number" if the value is of another type.
void set_option(const Option& option, const nlohmann::json& value);

void write_options(nlohmann::json& object, const OptionTable& options);
void read_options(const nlohmann::json& object, const OptionTable& options);

// A JSON value as the text that Option::set() reads: lists with commas between.
std::string json_text(const nlohmann::json& value);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/option_json-inl.hpp"
#endif
