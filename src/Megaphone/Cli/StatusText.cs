using System.Globalization;
using System.Text;
using Megaphone.Operator;

namespace Megaphone.Cli;

/// <summary>What <c>megaphone status</c> prints for people.</summary>
internal static class StatusText
{
    private const string Indent = "  ";

    /// <summary>A page of it.</summary>
    public static string Write(StatusReport status)
    {
        StringBuilder text = new();
        long up = (status.Now - status.Started) / 1000;
        Line(text, $"megaphone {status.Version}, process {status.Process}: {status.State}, for {HumanText.Age(up)}");
        foreach (string reason in status.Reasons) Line(text, Indent + reason);
        ResourceStatus uses = status.Resources;
        string each = uses.MemoryBytesEach is { } bytes ? $" ({HumanText.Size(bytes)} for each)" : "";
        Line(text, $"memory {HumanText.Size(uses.MemoryBytes)}{each}, processor {uses.CpuSeconds.ToString("0.0", CultureInfo.InvariantCulture)} s, "
            + $"descriptors {HumanText.Number(uses.OpenFiles)} of {HumanText.Number(uses.MaxOpenFiles)}");
        Line(text, Reloads(status.Reloads));
        foreach (RoleStatus role in status.Roles) Write(text.Append('\n'), role);
        return text.ToString();
    }

    private static string Reloads(ReloadStatus reloads)
    {
        string counts = $"reloads: {HumanText.Number(reloads.Done)} done, {HumanText.Number(reloads.Refused)} refused, "
            + $"{HumanText.Number(reloads.Failed)} failed";
        if (reloads.Last is not [.., { } last]) return counts;
        string at = DateTimeOffset.FromUnixTimeMilliseconds(last.At).ToString("u", CultureInfo.InvariantCulture);
        string took = reloads.Done > 0 ? $"; nobody was served for {HumanText.Milliseconds(reloads.HandoverSeconds)} in the last that was done" : "";
        return $"{counts}; the last {at}, {last.Result}{took}";
    }

    private static void Write(StringBuilder text, RoleStatus role)
    {
        bool isEcm = role.LoggedIn is not null;
        string now = isEcm
            ? $"ECM: {HumanText.Counted(role.Connected, "client")}, {HumanText.Number(role.LoggedIn!.Value)} logged in, "
                + $"{HumanText.Number(role.Handshaking!.Value)} in handshakes"
                + (role.WebSockets is { } webSockets
                    ? $", {HumanText.Number(webSockets)} on WebSockets, {HumanText.Number(role.Relayed ?? 0)} relayed"
                    : "")
            : $"Hub: {HumanText.Counted(role.Connected, "session")}";
        Line(text, $"{now}; {HumanText.Counted(role.Opened, "session")} since the start");
        Line(text, $"{Indent}links brought {HumanText.Counted(role.PacketsIn, "packet")}, {HumanText.Size(role.BytesIn)}, and took "
            + $"{HumanText.Number(role.PacketsOut)}, {HumanText.Size(role.BytesOut)}; {HumanText.Size(role.Buffered)} wait for slow sockets");

        TextTable listeners = new("LISTENER", "FRAMING", "TLS", ">CLIENTS");
        foreach (ListenerReport one in role.Listeners) listeners.Add(one.Listener, one.Framing, one.Tls, HumanText.Number(one.Clients));
        TextTable servers = isEcm
            ? new("SERVER", ">LINKS UP", ">CLIENTS", ">LOGGING IN", ">WAITING")
            : new("BACKEND", ">ADDRESSES UP", ">SESSIONS");
        foreach (ServerReport one in role.Servers)
        {
            string[] logins = isEcm ? [HumanText.Number(one.LoginsUnderWay), HumanText.Number(one.LoginsWaiting)] : [];
            servers.Add([one.Server, HumanText.Number(one.Up), HumanText.Number(one.Sessions), .. logins]);
        }

        TextTable links = new(isEcm ? "LINK TO" : "LINK FROM", "NAME", "STATE", isEcm ? ">CLIENTS" : ">SESSIONS", ">AGE", ">ROUND TRIP", ">RING");
        foreach (LinkReport one in role.Links)
        {
            links.Add(
                one.Server, one.Name ?? "-", one.State, HumanText.Number(one.Sessions),
                one.AgeSeconds is { } age ? HumanText.Age(age) : "-",
                one.RoundTripSeconds is { } roundTrip ? HumanText.Milliseconds(roundTrip) : "-",
                one.RingCapacity == 0 ? "-" : $"{(100 * one.RingBytes) / one.RingCapacity} %");
        }

        TextTable certificates = new("CERTIFICATE", "FOR", ">DAYS LEFT");
        foreach (CertificateReport one in role.Certificates) certificates.Add(one.Name, one.For, HumanText.Number(one.DaysLeft));
        foreach (TextTable table in (TextTable[])[listeners, servers, links, certificates]) table.Write(text, Indent);
        Write(text, "limits that bit", role.Limited);
        Write(text, "refused", role.Refused);
        Write(text, "sessions ended", role.Closed);
    }

    private static void Write(StringBuilder text, string what, IReadOnlyList<CountReport> counts)
    {
        if (counts.Count > 0) Line(text, $"{Indent}{what}: {string.Join(", ", counts.Select(one => $"{one.Name} {HumanText.Number(one.Count)}"))}");
    }

    private static void Line(StringBuilder text, string line) => text.Append(line).Append('\n');
}
