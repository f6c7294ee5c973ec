// ctr login and ctr logout.
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "engine/logins.h"

namespace ctr {

namespace {

void define_login_flags(FlagTable& flags) {
  flags.text("password", 'p', "string", "Password");
  flags.toggle("password-stdin", 0, "Take the password from stdin");
  flags.text("username", 'u', "string", "Username");
}

/// The terminal without echo, put back at the end whatever happens.
class NoEcho {
 public:
  explicit NoEcho(int fd) : fd_(fd) {
    if (::tcgetattr(fd_, &before_) != 0) return;
    struct termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    is_changed_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~NoEcho() {
    if (is_changed_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  int fd_;
  struct termios before_ = {};
  bool is_changed_ = false;
};

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (line.size() < 65536) {
    const ssize_t count = ::read(fd, &c, 1);
    if (count <= 0 || c == '\n') break;
    line.push_back(c);
  }
  return std::string(without_suffix(line, "\r"));
}

std::string ask(const std::string& question) {
  write_standard_error(question);
  return read_line(STDIN_FILENO);
}

std::string ask_secretly(const std::string& question) {
  const NoEcho silent(STDIN_FILENO);
  const std::string answer = ask(question);
  write_standard_error("\n");
  return answer;
}

/// All of standard input, without one newline at its end.
std::string password_from_standard_input() {
  std::string text = read_fd(STDIN_FILENO, kMiB, "standard input");
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) throw Error(ErrorKind::Invalid, "password is empty");
  return text;
}

LoginResult log_in_asking(Context& context, LoginRequest request) {
  if (!is_terminal(STDIN_FILENO)) {
    throw Error(ErrorKind::Invalid, "cannot perform an interactive login from a non TTY device: use -u and --password-stdin");
  }
  if (request.username.empty()) request.username = ask("Username: ");
  if (request.username.empty()) throw Error(ErrorKind::Invalid, "username is required");
  if (request.password.empty()) request.password = ask_secretly("Password: ");
  if (request.password.empty()) throw Error(ErrorKind::Invalid, "password is required");
  return log_in(context, request);
}

int login(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  LoginRequest request;
  if (!invocation.arguments().empty()) request.server = invocation.arguments().front();
  request.username = flags.text("username");
  const bool from_stdin = flags.on("password-stdin");
  if (from_stdin && flags.given("password")) throw UsageError("--password and --password-stdin are mutually exclusive");
  if (from_stdin && request.username.empty()) throw UsageError("--password-stdin needs --username");
  if (flags.given("password")) {
    print_warning("Using --password via the CLI is insecure. Use --password-stdin.");
    request.password = flags.text("password");
  }
  if (from_stdin) request.password = password_from_standard_input();

  std::optional<LoginResult> stored;
  if (request.username.empty() && request.password.empty()) stored = log_in_with_stored(invocation.context(), request.server);
  const bool is_complete = !request.username.empty() && !request.password.empty();
  const LoginResult result = stored        ? *stored
                             : is_complete ? log_in(invocation.context(), request)
                                           : log_in_asking(invocation.context(), request);
  if (!result.warning.empty()) write_standard_error(result.warning + "\n");
  write_standard_out("Login Succeeded\n");
  return 0;
}

int logout(Invocation& invocation) {
  const std::string server = invocation.arguments().empty() ? "" : invocation.arguments().front();
  const std::string shown = login_display_name(login_host(server));
  if (log_out(invocation.context(), server) == LogoutResult::NotLoggedIn) {
    write_standard_out("Not logged in to " + shown + "\n");
  } else {
    write_standard_out("Removing login credentials for " + shown + "\n");
  }
  return 0;
}

}  // namespace

std::vector<CommandSpec> login_command_specs() {
  return {{.words = "login",
           .arguments = "[OPTIONS] [SERVER]",
           .summary = "Authenticate to a registry",
           .group = HelpGroup::Common,
           .max_arguments = 1,
           .define_flags = define_login_flags,
           .run = login},
          {.words = "logout",
           .arguments = "[SERVER]",
           .summary = "Log out from a registry",
           .group = HelpGroup::Common,
           .max_arguments = 1,
           .run = logout}};
}

}  // namespace ctr
