// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "runtime/text/jinja/ast.hpp"
#include "runtime/text/jinja/token.hpp"

namespace troupe::jinja {

/// Throws chat_template_error, naming the construct and its line, for whatever is not Jinja or not supported.
statement_list parse(const std::vector<token>& tokens);

}  // namespace troupe::jinja
