// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "runtime/ids.hpp"

namespace troupe {

/// A token that is found in the text itself, before it is split into words.
struct added_token {
  token_id id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character stands on either side
  bool lstrip = false;       ///< takes the white space on its left with it
  bool rstrip = false;       ///< takes the white space on its right with it
  bool normalized = true;    ///< looked for in the normalized text, in its normalized form
  bool special = false;      ///< left out by decoding with skip_special
};

}  // namespace troupe
