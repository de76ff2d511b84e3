// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/answer_stream.hpp"
#include "actors/protocol.hpp"

namespace troupe {

/// One request in the hands of its router. `request.tokens` is the truth; everything else can be made again from it.
struct request_record {
  using time_point = caf::actor_clock::time_point;

  request_id id;  ///< what clients call it; request.id is its name in the group it is in, new for every placement
  request_key key;
  std::uint64_t fingerprint = 0;
  generation_request request;  ///< tokens: the prompt, then the output; empty until it is tokenized
  bool drawn_seed = false;
  std::vector<std::string> stop_strings;
  bool include_stop = false;
  std::vector<answer_token> details;  ///< of each token of the output, when logprobs were asked for

  // The client.
  std::uint64_t ticket = 0;
  answer_sink_actor sink;  ///< null: the client is gone and may come back
  bool keep = false;
  std::vector<token_id> have;  ///< what the client holds, until the prompt is tokenized
  answer_stream stream{0};
  std::vector<caf::typed_response_promise<accepted>> acceptances;  ///< who waits for a group to admit it
  bool admitted = false;                                           ///< by a group, once
  bool promised = false;  ///< another router has accepted it: not refused for the load, and neither is an admitted one
  time_point created;
  time_point deadline;
  time_point moved;  ///< when the client last took something; when it was lost; when the request ended

  // Its text.
  std::uint32_t fold = 0;   ///< counts how often the text was begun
  std::uint32_t told = 0;   ///< output tokens whose text has come back
  std::uint64_t bytes = 0;  ///< of text that has come back

  // Its group.
  std::string group;                 ///< empty: waits for a group
  std::set<std::string> refused_by;  ///< groups without room for it, until one admits it
  caf::error refusal;                ///< of these the one that says to come back soonest
  troupe::epoch epoch;
  std::uint64_t cluster = 0;                 ///< as the group's messages name it
  scheduler_rank_actor leader;               ///< that was given it
  time_point heard;                          ///< of it from its group, or when it was last asked
  std::vector<troupe::epoch> ran_in;         ///< epochs it was in whose fate is not known
  std::optional<time_point> lost;            ///< since when its group is gone and nobody has said why
  std::optional<troupe::epoch> trial_epoch;  ///< it runs alone there: a crash is its doing
  bool resumes = false;                      ///< it has got no token since its group was lost

  // Its end.
  finish_reason ending = finish_reason::none;  ///< the group gives no more
  bool by_string = false;                      ///< it was a stop string
  bool text_done = false;                      ///< the last text has come back
  std::optional<answer_event> failure;         ///< the error it ended with
  bool ended = false;                          ///< the client has been told; kept until it has acknowledged that
  bool counted = false;                        ///< among the completed
  std::uint32_t cached_tokens = 0;

  std::uint32_t output_tokens() const {
    return static_cast<std::uint32_t>(request.tokens.size()) - request.prompt_tokens;
  }
  bool tokenized() const { return !request.tokens.empty(); }
  /// A group has, or should have, it.
  bool needs_group() const { return tokenized() && !ended && !failure && ending == finish_reason::none; }

  answer_token token_at(std::uint32_t position) const {
    if (position < details.size()) return details[position];
    return {position, request.tokens[request.prompt_tokens + position], 0, {}};
  }
};

}  // namespace troupe
