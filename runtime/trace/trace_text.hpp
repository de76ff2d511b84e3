// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime/trace/request_trace.hpp"

namespace troupe {

/// A trace for people: each hop with its time since the first and the gap before it, ranks, recoveries.
std::string trace_text(const request_trace& trace);

/// The same for programs: one JSON object on one line; times in nanoseconds since the first event.
std::string trace_json(const request_trace& trace);

std::string summary_text(const std::vector<request_summary>& requests);
std::string summary_json(const std::vector<request_summary>& requests);

}  // namespace troupe
