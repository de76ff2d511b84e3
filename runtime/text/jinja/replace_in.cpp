// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/replace_in.hpp"

#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/python_text.hpp"

namespace troupe::jinja {

value replace_in(evaluation& run, std::string_view text, std::string_view from, std::string_view to,
                 std::int64_t count) {
  // There are no more places than characters; what they could become is known before anything is made.
  const std::size_t places = text.size() / (from.empty() ? 1 : from.size()) + 1;
  if (!to.empty() && places > output_bytes_max / to.size()) run.fail("a replaced string is too long");
  run.charge(text.size() / 16);
  return run.make_string(replace(text, from, to, count));
}

}  // namespace troupe::jinja
