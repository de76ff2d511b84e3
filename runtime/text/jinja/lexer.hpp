// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "runtime/text/jinja/token.hpp"

namespace troupe::jinja {

/// Cuts a template (well-formed UTF-8) into tokens as Jinja2 does with trim_blocks and lstrip_blocks set, which is how
/// transformers sets them. The last token is `end`. Throws chat_template_error.
std::vector<token> tokenize(std::string_view source);

}  // namespace troupe::jinja
