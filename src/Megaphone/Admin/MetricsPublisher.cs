using System.Diagnostics.Metrics;
using System.Globalization;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Admin;

/// <summary>Publishes the roles' counters, and the process's own resource use, as instruments of one meter.</summary>
/// <remarks>
/// All instruments are observable: nothing is measured before a scrape. They have the names that scrapers see.
/// Every label value is exposed from the start, with 0, so that rates are right from the first event on.
/// </remarks>
internal sealed class MetricsPublisher : IDisposable
{
    private readonly IReadOnlyList<RoleMetrics> _roles;
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;

    /// <summary>Makes the instruments for the roles that run.</summary>
    /// <param name="roles">Their counters.</param>
    /// <param name="reloads">What is counted of reloads.</param>
    public MetricsPublisher(IReadOnlyList<RoleMetrics> roles, ReloadCounters reloads)
    {
        _roles = roles;
        Meter.CreateObservableCounter(
            "megaphone_reloads_total",
            () => new[]
            {
                new Measurement<long>(reloads.Count(ReloadResult.Done), LabelOf("result", "done")),
                new Measurement<long>(reloads.Count(ReloadResult.Refused), LabelOf("result", "refused")),
                new Measurement<long>(reloads.Count(ReloadResult.Failed), LabelOf("result", "failed")),
            },
            null,
            "Reloads, by result: refused are those that would not have worked, failed those that had begun.");
        Meter.CreateObservableGauge(
            "megaphone_handover_seconds",
            () => reloads.Handover.TotalSeconds,
            null,
            "How long nobody was served in the last reload.");
        foreach (RoleMetrics metrics in roles)
        {
            if (metrics.Role == Role.Ecm)
            {
                ForServers(metrics, "megaphone_link_up", "Links up now, by configured server.", server => server.Up);
                ForServers(metrics, "megaphone_server_clients", "Clients on links that are up, by configured server.", server => server.Sessions);
                ForServers(metrics, "megaphone_logins_waiting", "Clients that wait for their turn to log in, by configured server.",
                    server => server.LoginsWaiting);
                ForServers(metrics, "megaphone_logins_under_way", "Clients that have their turn to log in, by configured server.",
                    server => server.LoginsUnderWay);
                Meter.CreateObservableCounter(
                    "megaphone_link_reconnects_total",
                    () => metrics.Servers().SelectMany(server => (Measurement<long>[])
                    [
                        new(server.Resumed, LabelOf("server", server.Name), LabelOf("result", "resumed")),
                        new(server.Fresh, LabelOf("server", server.Name), LabelOf("result", "fresh")),
                    ]),
                    null,
                    "Times that a link that had been up came up again, by configured server: with its sessions, or without.");
                Meter.CreateObservableGauge(
                    "megaphone_ecm_clients",
                    () => metrics.Connected,
                    null,
                    "Clients connected now.");
                Meter.CreateObservableGauge(
                    "megaphone_ecm_web_clients",
                    () => WebClients(metrics),
                    null,
                    "Clients of listeners for the web now, by what they have asked for.");
                Meter.CreateObservableGauge(
                    "megaphone_ecm_incomplete_bytes",
                    () => metrics.IncompleteBytes,
                    null,
                    "Memory in use for incomplete stanzas.");
                Meter.CreateObservableCounter(
                    "megaphone_ecm_stream_errors_total",
                    () => Enum.GetValues<StreamCondition>().Select(condition => new Measurement<long>(
                        metrics.StreamErrors(condition), LabelOf("condition", StreamErrorText.NameOf(condition)))),
                    null,
                    "Streams of clients refused, by stream error.");
                Meter.CreateObservableGauge(
                    "megaphone_clients_logged_in",
                    () => metrics.LoggedIn,
                    null,
                    "Clients logged in now; where servers do not tell, those that they have answered, and of bytes those that have sent some.");
                Meter.CreateObservableCounter(
                    "megaphone_login_seconds",
                    () => Samples(metrics.Logins, TimeHistogram.LongBounds),
                    null,
                    "Time from the connection to the login.",
                    [new(PrometheusText.Histogram, true)]);
                Meter.CreateObservableCounter(
                    "megaphone_limited_total",
                    () => Enum.GetValues<Limit>().Select(limit => new Measurement<long>(metrics.Limited(limit), LabelOf("limit", Label.Of(limit)))),
                    null,
                    "Clients that a limit kept out or ended, by limit.");
                Meter.CreateObservableGauge(
                    "megaphone_listener_clients",
                    () => metrics.Listeners().GroupBy(listener => listener.Name).Select(alike => new Measurement<long>(
                        alike.Sum(listener => listener.Clients), LabelOf("listener", alike.Key))),
                    null,
                    "Clients connected now, by listener; closed: by a reload.");
                Meter.CreateObservableGauge(
                    "megaphone_tls_clients",
                    () => TlsKinds().Select(kind => new Measurement<long>(
                        metrics.Tls(kind.IsTls13, kind.Algorithm), LabelOf("version", kind.Version), LabelOf("cipher", kind.Cipher))),
                    null,
                    "Clients connected now whose records are protected here, by version and cipher.");
                Meter.CreateObservableCounter(
                    "megaphone_tls_handshake_seconds",
                    () => Samples(metrics.HandshakeTimes, TimeHistogram.ShortBounds),
                    null,
                    "Time of TLS handshakes with clients that succeeded, STARTTLS not included.",
                    [new(PrometheusText.Histogram, true)]);
                Meter.CreateObservableGauge(
                    "megaphone_ecm_handshaking",
                    () => metrics.Handshaking,
                    null,
                    "Clients in STARTTLS or in a TLS handshake now.");
                Meter.CreateObservableCounter(
                    "megaphone_ecm_handshakes_total",
                    () => Enum.GetValues<HandshakeEnd>().Select(end => new Measurement<long>(
                        metrics.Handshakes(end), LabelOf("result", Label.Of(end)))),
                    null,
                    "TLS handshakes with clients, by result.");
                Meter.CreateObservableGauge(
                    "megaphone_ecm_certificate_expiry_seconds",
                    () => metrics.Certificates.Select(certificate => new Measurement<long>(
                        certificate.NotAfter.ToUnixTimeSeconds(), LabelOf("certificate", certificate.File))),
                    null,
                    "When a certificate in use expires, in seconds since 1970.");
                Meter.CreateObservableCounter(
                    "megaphone_ecm_certificate_reloads_total",
                    () => new[]
                    {
                        new Measurement<long>(metrics.CertificateReloads(succeeded: true), LabelOf("result", "ok")),
                        new Measurement<long>(metrics.CertificateReloads(succeeded: false), LabelOf("result", "failed")),
                    },
                    null,
                    "Reloads of certificates for clients, by result.");
            }
            else
            {
                ForServers(metrics, "megaphone_backend_up", "Addresses in use now, by configured backend.", server => server.Up);
                ForServers(metrics, "megaphone_backend_sessions", "Sessions connected now, by configured backend.", server => server.Sessions);
                Meter.CreateObservableGauge(
                    "megaphone_hub_sessions",
                    () => metrics.Connected,
                    null,
                    "Sessions open now.");
            }
        }

        Meter.CreateObservableGauge(
            "megaphone_limit",
            () => _roles.SelectMany(role => role.Limits.Select(limit => new Measurement<double>(limit.Value, LabelOf("limit", limit.Limit)))),
            null,
            "What is configured for a limit: a number, bytes, or seconds.");
        Meter.CreateObservableCounter(
            "megaphone_link_round_trip_seconds",
            () => _roles.SelectMany(role => Samples(role.RoundTrips, TimeHistogram.ShortBounds, RoleLabel(role))),
            null,
            "Time until a ping over a link was answered.",
            [new(PrometheusText.Histogram, true)]);
        Meter.CreateObservableGauge("megaphone_links", ForRoles(role => role.Links), null, "Links up now.");
        Meter.CreateObservableGauge(
            "megaphone_link_certificate_expiry_seconds",
            () => _roles.SelectMany(role => role.LinkCertificates.Select(certificate => new Measurement<long>(
                certificate.NotAfter.ToUnixTimeSeconds(), RoleLabel(role), LabelOf("certificate", certificate.File)))),
            null,
            "When a certificate for the TLS of links expires, in seconds since 1970.");
        Meter.CreateObservableCounter(
            "megaphone_link_certificate_reloads_total",
            () => _roles.SelectMany(role => new[]
            {
                new Measurement<long>(role.LinkCertificateReloads(succeeded: true), RoleLabel(role), LabelOf("result", "ok")),
                new Measurement<long>(role.LinkCertificateReloads(succeeded: false), RoleLabel(role), LabelOf("result", "failed")),
            }),
            null,
            "Reloads of certificates for links, by result.");
        Meter.CreateObservableGauge(
            "megaphone_links_cut", ForRoles(role => role.LinksCut), null, "Links cut now, whose sessions wait for them to come back.");
        Count("megaphone_link_cuts_total", "Times that a link was cut.", role => role.LinkCuts);
        Count("megaphone_link_resumptions_total", "Times that a link that was cut came back.", role => role.LinksResumed);
        Meter.CreateObservableCounter(
            "megaphone_link_cut_seconds_total",
            () => _roles.Select(role => new Measurement<double>(role.LinkCutTime.TotalSeconds, RoleLabel(role))),
            null,
            "Time for which links were cut, until each came back or was lost.");
        Meter.CreateObservableGauge(
            "megaphone_link_unacknowledged_bytes",
            ForRoles(role => role.UnacknowledgedBytes),
            null,
            "Bytes sent over links and kept until they are acknowledged.");
        Count("megaphone_sessions_opened_total", "Sessions opened.", role => role.SessionsOpened);
        CountByReason<CloseReason>(
            "megaphone_sessions_closed_total",
            "Sessions ended.",
            (role, reason) => role.SessionsClosed(reason));
        CountByDirection(
            "megaphone_link_packets_total",
            "Packets carried by links.",
            role => role.PacketsIn,
            role => role.PacketsOut);
        CountByDirection(
            "megaphone_link_bytes_total",
            "Bytes carried by links, headers included.",
            role => role.BytesIn,
            role => role.BytesOut);
        CountByReason<DropReason>(
            "megaphone_dropped_packets_total",
            "Packets not delivered.",
            (role, reason) => role.Dropped(reason));
        Count(
            "megaphone_protocol_errors_total",
            "Links closed because the other side violated the protocol.",
            role => role.ProtocolErrors);
        Count(
            "megaphone_pauses_total",
            "Sessions paused because their socket was slow.",
            role => role.Pauses);
        Meter.CreateObservableGauge(
            "megaphone_buffered_bytes",
            ForRoles(role => role.BufferedBytes),
            null,
            "Bytes buffered now for slow sockets.");
        CountByReason<RefusalReason>(
            "megaphone_refused_total",
            "Clients and links refused.",
            (role, reason) => role.Refused(reason));
        Count(
            "megaphone_control_ignored_total",
            "Control packets, or members of them, that were ignored as unknown.",
            role => role.ControlIgnored);

        Meter.CreateObservableGauge(
            "megaphone_build_info",
            () => new Measurement<int>(1, LabelOf("version", ProductVersion.Current)),
            null,
            "The version of this build.");
        Meter.CreateObservableCounter(
            "megaphone_gc_pause_seconds_total",
            () => GC.GetTotalPauseDuration().TotalSeconds,
            null,
            "Time for which garbage collections stopped all threads.");
        Meter.CreateObservableCounter(
            "megaphone_gc_collections_total",
            () => (long)GC.CollectionCount(0),
            null,
            "Garbage collections.");
        Meter.CreateObservableCounter(
            "process_cpu_seconds_total",
            () => Environment.CpuUsage.TotalTime.TotalSeconds,
            null,
            "Processor time used, user and system.");
        Meter.CreateObservableGauge(
            "process_resident_memory_bytes",
            () => Environment.WorkingSet,
            null,
            "Resident memory now.");
        Meter.CreateObservableGauge("process_open_fds", OpenDescriptors.Count, null, "Descriptors open now.");
        Meter.CreateObservableGauge(
            "process_max_fds", () => (double)OpenFileLimit.Soft(), null, "Descriptors that this process may have open.");
        Meter.CreateObservableGauge(
            "process_start_time_seconds",
            () => _started.ToUnixTimeMilliseconds() / 1000d,
            null,
            "When this process started, in seconds since 1970.");
    }

    /// <summary>The meter; its instruments are in the order in which they were made.</summary>
    public Meter Meter { get; } = new("Megaphone");

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();

    private static KeyValuePair<string, object?> LabelOf(string name, string value) => new(name, value);

    private static IEnumerable<Measurement<double>> Samples(
        TimeHistogram times, IReadOnlyList<double> bounds, params KeyValuePair<string, object?>[] labels)
    {
        long count = 0;
        for (int bound = 0; bound <= bounds.Count; bound++)
        {
            count += times.Count(bound);
            string upTo = bound == bounds.Count ? "+Inf" : bounds[bound].ToString(CultureInfo.InvariantCulture);
            yield return new Measurement<double>(count, [LabelOf(PrometheusText.Part, "bucket"), .. labels, LabelOf("le", upTo)]);
        }

        yield return new Measurement<double>(times.Sum, [LabelOf(PrometheusText.Part, "sum"), .. labels]);
        yield return new Measurement<double>(count, [LabelOf(PrometheusText.Part, "count"), .. labels]);
    }

    private static IEnumerable<(bool IsTls13, int Algorithm, string Version, string Cipher)> TlsKinds() =>
        from isTls13 in (bool[])[false, true]
        from algorithm in AeadAlgorithms.All
        select (isTls13, AeadAlgorithms.All.IndexOf(algorithm), new SecurityParameters(isTls13, algorithm).Version, algorithm.Name());

    private static KeyValuePair<string, object?> RoleLabel(RoleMetrics metrics) => LabelOf("role", Label.Of(metrics.Role));

    private Func<IEnumerable<Measurement<long>>> ForRoles(Func<RoleMetrics, long> value) =>
        () => _roles.Select(role => new Measurement<long>(value(role), RoleLabel(role)));

    private void ForServers(RoleMetrics metrics, string name, string help, Func<ServerStatus, long> value) => Meter.CreateObservableGauge(
        name, () => metrics.Servers().Select(server => new Measurement<long>(value(server), LabelOf("server", server.Name))), null, help);

    private static Measurement<long>[] WebClients(RoleMetrics metrics)
    {
        (long webSockets, long relays) = metrics.WebClients();
        return [new(webSockets, LabelOf("kind", "websocket")), new(relays, LabelOf("kind", "relayed"))];
    }

    private void Count(string name, string help, Func<RoleMetrics, long> value) =>
        Meter.CreateObservableCounter(name, ForRoles(value), null, help);

    private void CountByDirection(
        string name,
        string help,
        Func<RoleMetrics, long> into,
        Func<RoleMetrics, long> outOf) =>
        Meter.CreateObservableCounter(
            name,
            () => _roles.SelectMany(role => new[]
            {
                new Measurement<long>(into(role), RoleLabel(role), LabelOf("direction", "in")),
                new Measurement<long>(outOf(role), RoleLabel(role), LabelOf("direction", "out")),
            }),
            null,
            help);

    private void CountByReason<T>(string name, string help, Func<RoleMetrics, T, long> value)
        where T : struct, Enum
    {
        (T Value, string Name)[] reasons = [.. Enum.GetValues<T>().Select(reason => (reason, Label.Of(reason)))];
        Meter.CreateObservableCounter(
            name,
            () => _roles.SelectMany(role => reasons.Select(reason =>
                new Measurement<long>(value(role, reason.Value), RoleLabel(role), LabelOf("reason", reason.Name)))),
            null,
            help);
    }
}
