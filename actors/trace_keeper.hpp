// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "actors/protocol.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

struct trace_keeper_options {
  std::string node;
  std::filesystem::path folder;          ///< where the processes of this machine keep their records; may be empty
  std::shared_ptr<flight_recorder> own;  ///< of the node's process; null: it keeps none
};

/// Reads the flight records of one machine's processes, living and ended, for who asks. It reads files, so it is
/// spawned detached.
class trace_keeper {
 public:
  static inline const char* name = "trace-keeper";

  trace_keeper(trace_keeper_actor::impl* self, trace_keeper_options options)
      : self_(self), options_(std::move(options)) {}

  trace_keeper_actor::behavior_type make_behavior();

 private:
  caf::result<trace_answer> on_get(const get_trace& message) const;

  trace_keeper_actor::impl* self_;
  trace_keeper_options options_;
};

using trace_keeper_impl = caf::stateful_actor<trace_keeper, trace_keeper_actor::impl>;

}  // namespace troupe
