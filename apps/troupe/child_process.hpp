// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/troupe/file_descriptor.hpp"

namespace troupe {

/// How a process ended.
struct process_end {
  bool by_signal = false;
  int number = 0;  ///< of the signal, or the exit code
};

/// "killed by signal 11 (Segmentation fault)", "exited with code 1".
std::string to_string(const process_end& end);

/// A child process known by a descriptor and not by its number, which the kernel may give to another process.
/// The child cannot outlive the thread that started it; destroying this object kills what still runs.
class child_process {
 public:
  /// This program again, with these arguments. Its standard input is empty, its standard output is this process's
  /// standard error, and it inherits no other descriptor. Throws std::runtime_error.
  explicit child_process(std::vector<std::string> arguments);
  child_process(child_process&&) noexcept = default;
  child_process& operator=(child_process&&) = delete;
  ~child_process();

  /// Readable when the process has ended.
  int descriptor() const { return handle_.get(); }

  /// SIGKILL; nothing when it has ended.
  void kill() const;

  /// How it ended; nothing while it runs. The kernel forgets the process with the first answer.
  std::optional<process_end> collect();

 private:
  file_descriptor handle_;  ///< none once collected
};

}  // namespace troupe
