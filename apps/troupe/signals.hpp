// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace troupe {

/// Keeps SIGINT and SIGTERM from this thread and all it starts from now on, for wait_for_stop_signal. Call it first.
void block_stop_signals();

/// Waits until SIGINT or SIGTERM has come (true) or `ended()` is true (false), which it asks every 50 ms.
bool wait_for_stop_signal(const std::function<bool()>& ended);

}  // namespace troupe
