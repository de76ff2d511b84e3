// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <ctime>

#include <fmt/format.h>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe::jinja {
namespace {

constexpr std::int64_t range_max = 100'000;  // as Jinja2's sandbox

value raise_exception(evaluation& run, const call_arguments& arguments) {
  const auto bound = bind(run, arguments, {"message"});
  run.fail(fmt::format("the template refuses the conversation: {}", bound[0] ? run.text_of(*bound[0]) : ""));
}

value make_namespace(evaluation& run, const call_arguments& arguments) {
  auto space = std::make_shared<namespace_value>();
  if (arguments.positional.size() > 1) run.fail("namespace takes one mapping, and names with values");
  for (const value& v : arguments.positional) {
    if (v.mapping() == nullptr) run.fail("namespace takes a mapping, and names with values");
    for (const auto& [name, item] : v.mapping()->entries)
      space->assign(name, item);
  }
  for (const auto& [name, item] : arguments.named) {
    if (item.name_space() != nullptr || item.loop() != nullptr)
      run.fail(fmt::format("a {} cannot be in a namespace", item.type_name()));
    space->assign(name, item);
  }
  return value(std::move(space));
}

value make_dict(evaluation& run, const call_arguments& arguments) {
  if (!arguments.positional.empty()) run.fail("dict with arguments that have no name is not supported");
  return run.make_mapping(arguments.named);
}

value range(evaluation& run, const call_arguments& arguments) {
  std::vector<std::int64_t> numbers;
  for (const value& v : arguments.positional) {
    if (!v.is_integer()) run.fail(fmt::format("range takes integers, not a {}", v.type_name()));
    numbers.push_back(v.integer());
  }
  if (numbers.empty() || numbers.size() > 3 || !arguments.named.empty()) run.fail("range takes one to three integers");
  if (numbers.size() == 1) numbers.insert(numbers.begin(), 0);
  const std::int64_t step = numbers.size() == 3 ? numbers[2] : 1;
  if (step == 0) run.fail("the step of a range is zero");
  std::vector<value> items;
  for (std::int64_t i = numbers[0]; step > 0 ? i < numbers[1] : i > numbers[1];) {
    items.emplace_back(i);
    if (static_cast<std::int64_t>(items.size()) > range_max)
      run.fail(fmt::format("a range has more than {} numbers", range_max));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return run.make_list(std::move(items));
}

value strftime_now(evaluation& run, const call_arguments& arguments) {
  const auto bound = bind(run, arguments, {"format"});
  if (!run.now()) run.fail("strftime_now needs the time, which is not given");
  if (!bound[0] || !bound[0]->is_string()) run.fail("strftime_now takes a format");
  const std::string& format = bound[0]->string();
  if (format.empty()) return value("");
  std::array<char, 256> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), format.c_str(), &*run.now());
  const std::string_view written(text.data(), length);
  if (length == 0 || find_invalid_utf8(written)) run.fail("strftime_now cannot use this format");
  return value(written);
}

struct entry {
  std::string_view name;
  builtin_function function;
};

constexpr std::array<entry, 5> functions = {{{"raise_exception", raise_exception},
                                             {"namespace", make_namespace},
                                             {"dict", make_dict},
                                             {"range", range},
                                             {"strftime_now", strftime_now}}};

}  // namespace

builtin_function find_function(std::string_view name) {
  for (const entry& e : functions)
    if (e.name == name) return e.function;
  return nullptr;
}

}  // namespace troupe::jinja
