namespace Megaphone.EndToEnd.Support;

/// <summary>What an ECM can protect records with, once a handshake is done; tests of records are made with each.</summary>
internal static class RecordLayers
{
    /// <summary>OpenSSL's.</summary>
    public const string OpenSsl = "openssl";

    /// <summary>Our own.</summary>
    public const string Own = "own";

    private static readonly Dictionary<string, string[]> SettingsByName = new()
    {
        [Own] = ["Ecm:Tls:Records=own"],
        [OpenSsl] = ["Ecm:Tls:Records=openssl"],
    };

    /// <summary>All of them.</summary>
    public static IReadOnlyCollection<string> Names => SettingsByName.Keys;

    /// <summary>The settings with which an ECM uses it.</summary>
    public static string[] Settings(string layer) => SettingsByName[layer];

    /// <summary>Each of them with each of these.</summary>
    public static TheoryData<string, T> With<T>(params IEnumerable<T> others)
    {
        TheoryData<string, T> all = [];
        foreach (string layer in Names)
        {
            foreach (T other in others) all.Add(layer, other);
        }

        return all;
    }
}
