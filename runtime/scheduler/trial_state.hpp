// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "runtime/request.hpp"

namespace troupe {

/// Where the scheduler is in the trial of a suspect. Between begins and over nothing else is computed, so that a crash
/// in between is that request's doing.
enum class trial_phase : std::uint8_t {
  none,
  emptying,  ///< steps in flight are waited for; no new one is planned
  asked,     ///< the request's owner is asked whether it may begin
  running,   ///< it alone is planned
  passed,    ///< it came through, or ended; its last steps in flight are waited for
  told,      ///< the owner is told; others run again once it has answered
};

/// What the owner of a request must know before and after its trial.
struct trial_question {
  request_id request;
  bool begins = false;  ///< false: it is over

  friend bool operator==(const trial_question&, const trial_question&) = default;
};

/// The requests that may have crashed a group, in the order of arrival; one is tried at a time.
struct trial_state {
  std::deque<generation_request> suspects;
  trial_phase phase = trial_phase::none;
  request_id request;  ///< on trial, from asked on

  auto find(request_id wanted) {
    return std::find_if(suspects.begin(), suspects.end(), [wanted](const auto& each) { return each.id == wanted; });
  }
  bool contains(request_id wanted) { return find(wanted) != suspects.end(); }
};

}  // namespace troupe
