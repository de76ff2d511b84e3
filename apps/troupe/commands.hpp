// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace troupe {

/// Each adds one subcommand (or a family of them) to the program; its callback does the work and sets the exit code:
/// 0 done, 1 failed, 2 used wrongly.
void add_node_command(CLI::App& program, int& exit_code);
void add_operator_commands(CLI::App& program, int& exit_code);     // drain, restart
void add_change_commands(CLI::App& node_command, int& exit_code);  // node add, node remove
void add_rank_command(CLI::App& program, int& exit_code);
void add_plan_command(CLI::App& program, int& exit_code);
void add_client_commands(CLI::App& program, int& exit_code);  // status, ask, chat
void add_trace_command(CLI::App& program, int& exit_code);
void add_inject_command(CLI::App& program, int& exit_code);
void add_generate_command(CLI::App& program, int& exit_code);
void add_bench_command(CLI::App& program, int& exit_code);
void add_certs_command(CLI::App& program, int& exit_code);
void add_doctor_command(CLI::App& program, int& exit_code);
void add_tokenize_command(CLI::App& program, int& exit_code);

}  // namespace troupe
