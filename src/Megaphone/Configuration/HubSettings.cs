using System.Net;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads the hub's section.</summary>
internal static class HubSettings
{
    /// <summary>Reads it.</summary>
    /// <param name="reader">Where values come from.</param>
    /// <param name="runs">Whether the hub runs; what only matters then is not refused otherwise.</param>
    public static HubOptions Read(SettingsReader reader, bool runs)
    {
        TimeSpan idleTimeout = reader.Read(SettingKeys.IdleTimeout);
        HubOptions hub = new()
        {
            Listen = reader.Read(SettingKeys.HubListen),
            SocketMode = reader.Read(SettingKeys.HubSocketMode),
            Backends = [.. reader.ReadOneOrMore(SettingKeys.HubBackend, SettingKeys.HubBackendEach).Select(one => one.Value).OfType<HostPort>()],
            Link = LinkSettings.Read(reader, SettingKeys.HubLink),
            Tls = ReadTls(reader),
            MaxLinks = reader.Read(SettingKeys.MaxLinks),
            ResumeTimeout = reader.Read(SettingKeys.ResumeTimeout),
            MaxSessions = reader.Read(SettingKeys.MaxSessions),
            Reactors = reader.Read(SettingKeys.HubReactors),
            ConnectTimeout = reader.Read(SettingKeys.HubConnectTimeout),
            HalfOpenTimeout = reader.Read(SettingKeys.HubHalfOpenTimeout),
            IdleTimeout = idleTimeout == Timeout.InfiniteTimeSpan ? null : idleTimeout,
            Buffers = ConnectionSettings.ReadBuffers(reader, SettingKeys.HubConnections),
            Liveness = ConnectionSettings.ReadLiveness(reader, SettingKeys.HubConnections),
        };

        bool isOpenOnPurpose = reader.Read(SettingKeys.AllowOpenListener);
        bool hasSecret = reader.IsGiven(SettingKeys.HubLink.Secret) || reader.IsGiven(SettingKeys.HubLink.SecretFile);
        bool isGuarded = hasSecret || hub.Tls?.Authorities is not null;
        if (runs && !isOpenOnPurpose && !isGuarded && hub.Listen is IPEndPoint address && !IPAddress.IsLoopback(address.Address))
        {
            reader.Refuse(
                SettingKeys.HubListen,
                "is reachable from outside, where anybody could open sessions: write a Hub:Secret and the same "
                + "Ecm:Link:Secret at the other end, or Hub:Tls with a ClientCa, or \"AllowOpenListener\": true, or a loopback address",
                SettingKeys.HubListen.Example);
        }

        if (reader.IsMeant(SettingKeys.HubListen.Path)) RefuseModeOfAddress(reader, SettingKeys.HubSocketMode, SettingKeys.HubListen, hub.Listen);
        return hub;
    }

    /// <summary>Refuses the mode of a file where there is none.</summary>
    public static void RefuseModeOfAddress(
        SettingsReader reader, SettingKey<UnixFileMode> mode, SettingKey<EndPoint> listen, EndPoint listening)
    {
        if (listening is IPEndPoint && reader.IsGiven(mode))
        {
            reader.Refuse(
                mode, $"is for a Unix socket, and {listen.Path} is {listening}", $"leave it out, or unix:/run/megaphone/links.sock as {listen.Path}");
        }
    }

    private static LinkTlsOptions? ReadTls(SettingsReader reader)
    {
        bool isOn = reader.IsOn(SettingKeys.HubTls) is true;
        LinkTlsOptions tls = new()
        {
            Listens = true,
            Own = LinkSettings.ReadOwn(reader, SettingKeys.HubTlsCertificate, SettingKeys.HubTlsKey, isRequired: isOn),
            Authorities = reader.Read(SettingKeys.HubTlsClientCa),
        };
        return isOn ? tls : null;
    }
}
