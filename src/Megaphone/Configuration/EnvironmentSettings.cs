using System.Collections;

namespace Megaphone.Configuration;

/// <summary>Picks the settings out of the environment: <c>MEGAPHONE_ECM__LINK__TO</c> is <c>ECM:LINK:TO</c>.</summary>
internal static class EnvironmentSettings
{
    private const string Prefix = "MEGAPHONE_";
    private const string Separator = "__";

    /// <summary>
    /// Names without the double underscore that are meant for us all the same: a whole section that is switched on or off,
    /// or a slip (<c>MEGAPHONE_ECM_PROXY</c>) that must not be passed over. <c>SERVICE</c> is not among
    /// them: for a service called megaphone, Kubernetes puts <c>MEGAPHONE_SERVICE_HOST</c>, <c>MEGAPHONE_PORT</c> and
    /// the like into every container.
    /// </summary>
    private static readonly string[] Sections = ["ECM", "HUB", "ADMIN", "LOGGING"];

    /// <summary>The keys and values of those variables that are settings.</summary>
    public static Dictionary<string, GivenValue> Read(IDictionary variables)
    {
        Dictionary<string, GivenValue> settings = new(StringComparer.OrdinalIgnoreCase);
        foreach (DictionaryEntry variable in variables)
        {
            string name = (string)variable.Key;
            if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)) continue;

            string key = name[Prefix.Length..];
            if (key.Contains(Separator, StringComparison.Ordinal)
                || Sections.Contains(key.Split('_')[0], StringComparer.OrdinalIgnoreCase))
            {
                settings[key.Replace(Separator, ":", StringComparison.Ordinal)] = new GivenValue((string?)variable.Value, name);
            }
        }

        return settings;
    }
}
