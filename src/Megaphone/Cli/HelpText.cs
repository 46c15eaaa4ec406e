using System.Text;
using Megaphone.Configuration;

namespace Megaphone.Cli;

/// <summary>What <c>--help</c> prints.</summary>
internal static class HelpText
{
    private const int Width = 100;
    private const string Indent = "      ";

    /// <summary>The usage, with every key that can be set.</summary>
    public static string Write() => $"""
        megaphone {ProductVersion.Current}: holds an XMPP server's client connections for it

        Usage:
          megaphone [run] [--config FILE] [--SECTION:KEY VALUE ...]    run the service
          megaphone check [--config FILE] [--SECTION:KEY VALUE ...]    check configuration, machine and servers; nothing listens
          megaphone health [--config FILE] [--SECTION:KEY VALUE ...]   ask the running service whether it is sound
          megaphone reload [--config FILE] [--Admin:Socket PATH]       put the installed version, and the configuration as it
                                                                       is now, into use; every client stays connected
          megaphone status                                             say how the running service is
          megaphone clients [--address A/N] [--limit N]                list clients, and where they are
          megaphone kick ID | --address A/N                            end a client, or those from a network
          megaphone drain [--over T] [--server S]                      end all clients, or those of a server; no new ones
          megaphone undrain                                            take that back
          megaphone loglevel CATEGORY LEVEL                            change what is logged, until the next reload
          megaphone config                                             say what is in force, and where it is from
              all of them [--json] [--config FILE] [--Admin:Socket PATH], as reload
          megaphone bench MODE --OPTION VALUE ...                      put load on Megaphone or on an XMPP server
          megaphone --help | --version

        Configuration, later wins: built-in defaults; FILE, or ./megaphone.json, or
        /etc/megaphone/megaphone.json; environment variables MEGAPHONE_SECTION__KEY; the command line
        (--KEY VALUE or --KEY=VALUE). The ECM runs when there is a section Ecm, the hub when there is a
        section Hub: true runs one with its defaults, false does not run it. With neither, both run:
        clients on 127.0.0.1:5222, a link to a hub on 127.0.0.1:6280, and its built-in backend echo:.
        A value that is empty, or null in the file, is not given. Durations are 250ms, 30s, 5m, 1h or
        hh:mm:ss; sizes are bytes, or 64K, 16M, 1G. N and M are positions in lists, from 0 on.

        {Row("Key", "Default", "Values")}
        {string.Concat(SettingKeys.All.Select(Entry))}
        Exit status: 0 ended as asked, 1 failed while running, 2 usage or configuration error.

        """;

    private static string Entry(SettingKey key) =>
        $"{Row(key.Path, key.Default, key.Form)}{Environment.NewLine}{Wrapped(key.Meaning.Replace("`", "", StringComparison.Ordinal))}";

    private static string Row(string key, string fallback, string form) => $"  {key,-36}  {fallback,-22}  {form}";

    /// <summary>The text in lines of at most <see cref="Width"/> columns.</summary>
    private static string Wrapped(string text)
    {
        StringBuilder lines = new(Indent);
        int column = Indent.Length;
        foreach (string word in text.Split(' '))
        {
            if (column + word.Length > Width)
            {
                lines.Length--;
                lines.AppendLine().Append(Indent);
                column = Indent.Length;
            }

            lines.Append(word).Append(' ');
            column += word.Length + 1;
        }

        lines.Length--;
        return lines.AppendLine().ToString();
    }
}
