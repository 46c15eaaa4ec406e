namespace Megaphone.Ecm;

/// <summary>The bounds that an ECM has, as its metrics name them.</summary>
internal static class EcmLimits
{
    /// <summary>Those that are configured and not 0: connections, bytes, or seconds.</summary>
    public static IReadOnlyList<(string Limit, double Value)> Of(EcmOptions options)
    {
        LimitOptions limits = options.Limits;
        (string Limit, double Value)[] all =
        [
            ("max_clients", options.MaxClients),
            ("per_address", limits.PerAddress),
            ("per_address_rate", limits.PerAddressRate),
            ("per_site", limits.Ipv6Site == 0 ? 0 : limits.PerAddress * AddressTable.SiteFactor),
            ("per_site_rate", limits.Ipv6Site == 0 ? 0 : limits.PerAddressRate * AddressTable.SiteFactor),
            ("login_timeout", limits.LoginTimeout.TotalSeconds),
            ("login_wait", options.Logins.AtOnce == 0 ? 0 : options.Logins.MaxWait.TotalSeconds),
            ("logins_at_once", options.Logins.AtOnce),
            ("before_login", limits.StanzaBytesBeforeLogin),
            ("incomplete_bytes", options.IncompleteBytes),
            ("stanza_timeout", LimitOptions.StanzaTimeout.TotalSeconds),
            ("max_handshakes", options.Tls?.MaxHandshakes ?? 0),
        ];
        return [.. all.Where(limit => limit.Value > 0)];
    }
}
