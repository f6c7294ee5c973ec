// ctr version and ctr info, with Docker's fields, because scripts probe them.
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/system_info.h"

namespace ctr {

namespace {

void define_format(FlagTable& flags) {
  flags.text("format", 'f', "string", "Format output using a custom template: 'json' or TEMPLATE");
}

std::string side_words(const char* title, const Json& side) {
  const auto line = [](const char* name, const std::string& value) {
    return value.empty() ? std::string() : " " + std::string(name) + std::string(20 - std::string(name).size(), ' ') + value + "\n";
  };
  return std::string(title) + "\n" + line("Version:", side.string_or("Version")) +
         line("API version:", side.string_or("ApiVersion")) + line("Git commit:", side.string_or("GitCommit")) +
         line("OS/Arch:", side.string_or("Os") + "/" + side.string_or("Arch")) +
         line("Kernel:", side.string_or("KernelVersion"));
}

int version(Invocation& invocation) {
  const Json document = version_document();
  if (const std::string& format = invocation.flags().text("format"); !format.empty()) {
    write_standard_out(render_document(document, format) + "\n");
    return 0;
  }
  write_standard_out(side_words("Client: ctr", document.at("Client")) + "\n" +
                     side_words("Server: ctr (the same program: there is no daemon)", document.at("Server")));
  return 0;
}

std::string value_words(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  return value.dump();
}

int info(Invocation& invocation) {
  const Json document = system_information(invocation.context());
  if (const std::string& format = invocation.flags().text("format"); !format.empty()) {
    write_standard_out(render_document(document, format) + "\n");
    return 0;
  }
  std::string text = "Client: ctr\n Version:    " + std::string(CTR_VERSION) + "\n\nServer:\n";
  for (const auto& [key, value] : document.as_object()) {
    if (value.is_object() || value.is_null() || key == "ClientInfo" || key == "Abilities") continue;
    if (value.is_array()) {
      if (value.empty()) continue;
      text += " " + key + ":\n";
      for (const Json& element : value.as_array()) text += "  " + value_words(element) + "\n";
    } else if (!value_words(value).empty()) {
      text += " " + key + ": " + value_words(value) + "\n";
    }
  }
  text += " Abilities:\n";
  for (const Ability& ability : probe_abilities(invocation.context())) {
    text += "  " + ability.name + ": " + (ability.available ? "yes" : "no") +
            (ability.reason.empty() ? "" : " (" + ability.reason + ")") + "\n";
  }
  write_standard_out(text);
  return 0;
}

}  // namespace

std::vector<CommandSpec> version_command_specs() {
  return {{.words = "version",
           .arguments = "[OPTIONS]",
           .summary = "Show the ctr version information",
           .group = HelpGroup::Common,
           .max_arguments = 0,
           .define_flags = define_format,
           .run = version},
          {.words = "info",
           .arguments = "[OPTIONS]",
           .summary = "Display system-wide information, and what this machine can do",
           .group = HelpGroup::Common,
           .max_arguments = 0,
           .define_flags = define_format,
           .run = info,
           .aliases = {"system info"}}};
}

}  // namespace ctr
