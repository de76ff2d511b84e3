// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// Rewrites the regular expression of a tokenizer file, which is written for Oniguruma, so that PCRE2 finds the same
/// matches: white space is spelled out, groups capture nothing. Throws tokenizer_error, naming the construct and where
/// it stands, for whatever the two read differently or what could make matching slow.
std::string to_pcre2(std::string_view oniguruma_pattern);

}  // namespace troupe
