using Megaphone.Configuration;

namespace Megaphone.Cli;

/// <summary>What <c>--help</c> prints.</summary>
internal static class HelpText
{
    /// <summary>The usage, with every key that can be set.</summary>
    public static string Write() => $"""
        megaphone {ProductVersion.Current}: holds an XMPP server's client connections for it

        Usage:
          megaphone [run] [--config FILE] [--SECTION:KEY VALUE ...]    run the service
          megaphone check [--config FILE] [--SECTION:KEY VALUE ...]    check configuration and machine; nothing listens
          megaphone health [--config FILE] [--SECTION:KEY VALUE ...]   ask the running service whether it is sound
          megaphone bench MODE --OPTION VALUE ...                      put load on Megaphone or on an XMPP server
          megaphone --help | --version

        Configuration, later wins: built-in defaults; FILE, or ./megaphone.json, or /etc/megaphone/megaphone.json;
        environment variables MEGAPHONE_SECTION__KEY; the command line (--KEY VALUE or --KEY=VALUE).
        The ECM runs when there is a section Ecm, the hub when there is a section Hub. With neither, both run:
        clients on 127.0.0.1:5222, a link to a hub on 127.0.0.1:6280, and its built-in backend echo:.
        An empty value, or null in the file, is the same as the default; an empty Ecm, Hub or Admin switches it off.

        Keys:
        {string.Join(Environment.NewLine, SettingsSchema.Keys.Select(key => "  " + key))}

        Exit status: 0 ended as asked, 1 failed while running, 2 usage or configuration error.

        """;
}
