// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "runtime/request.hpp"
#include "runtime/sampling_params.hpp"
#include "runtime/scheduler/scheduler_options.hpp"

namespace troupe {

/// Whether a sequence ends with this token, as far as ids tell.
bool is_stop(token_id token, const stop_conditions& stops, std::span<const token_id> eos_ids);

/// Whether a sequence can end before its length does.
bool may_stop(const stop_conditions& stops, std::span<const token_id> eos_ids);

/// The length, prompt included, at which the request ends: by max_tokens, the context, or the KV memory of the group,
/// whichever comes first. (The last token needs no memory: it is never fed.)
std::uint32_t length_limit(const generation_request& request, const scheduler_options& options);

}  // namespace troupe
