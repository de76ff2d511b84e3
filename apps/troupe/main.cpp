// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/version.hpp"
#include "topology/cluster_file.hpp"

int main(int count, char** arguments) {
  int exit_code = 0;
  CLI::App program{"Troupe serves large language models as a company of actors.", "troupe"};
  program.set_version_flag("--version", troupe::version);
  program.require_subcommand(1);
  troupe::add_node_command(program, exit_code);
  troupe::add_rank_command(program, exit_code);
  troupe::add_plan_command(program, exit_code);
  troupe::add_client_commands(program, exit_code);
  troupe::add_operator_commands(program, exit_code);
  troupe::add_trace_command(program, exit_code);
  troupe::add_inject_command(program, exit_code);
  troupe::add_generate_command(program, exit_code);
  troupe::add_bench_command(program, exit_code);
  troupe::add_certs_command(program, exit_code);
  troupe::add_doctor_command(program, exit_code);
  troupe::add_tokenize_command(program, exit_code);
  try {
    program.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    auto code = program.exit(error);
    return code == 0 ? 0 : 2;
  } catch (const troupe::cluster_file_error& error) {
    std::fprintf(stderr, "troupe: error: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "troupe: error: %s\n", error.what());
    return 1;
  }
  return exit_code;
}
