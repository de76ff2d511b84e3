// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::jinja {

enum class token_kind : std::uint8_t {
  text,          ///< what stands between the tags, white space control done
  output_begin,  ///< {{
  output_end,    ///< }}
  block_begin,   ///< {%
  block_end,     ///< %}
  name,
  string,  ///< escapes done
  integer,
  symbol,  ///< an operator or a bracket
  end
};

struct token {
  token_kind kind = token_kind::end;
  std::string value;
  std::size_t line = 0;  ///< from 1
};

}  // namespace troupe::jinja
