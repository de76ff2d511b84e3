// SPDX-License-Identifier: Apache-2.0
// random_model FOLDER: writes the weights of the model whose config.json is there, as `random:FOLDER` would have them.
#include <algorithm>
#include <exception>
#include <iostream>
#include <thread>

#include "tests/support/random_checkpoint.hpp"

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: random_model FOLDER\n";
    return 2;
  }
  try {
    troupe::write_random_checkpoint(arguments[1], std::max(1U, std::thread::hardware_concurrency()));
  } catch (const std::exception& failure) {
    std::cerr << "random_model: error: " << failure.what() << "\n";
    return 1;
  }
  return 0;
}
