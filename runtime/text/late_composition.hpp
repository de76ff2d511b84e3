// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// True for the characters that take part in normal form C today but did not in Unicode 9, the version that Hugging
/// Face tokenizers normalize by: to them each is a character that neither moves nor composes.
bool composes_since_unicode_9(char32_t code_point);

}  // namespace troupe
