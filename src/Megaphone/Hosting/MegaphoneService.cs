using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Preflight;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Values;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>
/// Starts the roles and the admin endpoint in the order in which they need each other, and ends them in reverse.
/// </summary>
/// <param name="settings">What to run.</param>
/// <param name="systemd">Who is told about it.</param>
/// <param name="loggers">For the roles.</param>
internal sealed class MegaphoneService(
    Settings settings,
    SystemdNotifier systemd,
    ILoggerFactory loggers) : IHostedService, IDisposable
{
    /// <summary>
    /// What is kept of <see cref="Settings.StopTimeout"/> for the process's own end, after the roles' deadline.
    /// </summary>
    private const double ShareForTheEnd = 0.1;

    /// <summary>How long the end waits for an admin request that is under way.</summary>
    private static readonly TimeSpan LongestRequest = TimeSpan.FromMilliseconds(500);

    private readonly ILogger _log = loggers.CreateLogger<MegaphoneService>();
    private HubRole? _hub;
    private EcmRole? _ecm;
    private AdminEndpoint? _admin;
    private MetricsPublisher? _publisher;
    private PrometheusText? _text;
    private volatile bool _stopping;

    /// <summary>Binds every listener, then says so: the ready line, and the service manager.</summary>
    /// <exception cref="StartFailedException">A listener cannot be bound; those before it are closed again.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await StartAllAsync(cancellationToken);
        }
        catch
        {
            await StopAllAsync(new CancellationToken(canceled: true));
            throw;
        }

        Console.Out.WriteLine(ReadyLine());
        systemd.Ready();
    }

    /// <summary>
    /// Ends the ECM first, so that what clients have said still finds its way, then the hub, then the endpoint.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        long begun = Stopwatch.GetTimestamp();
        _stopping = true;
        systemd.Stopping();

        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(settings.StopTimeout * (1 - ShareForTheEnd));
        await StopAllAsync(deadline.Token);

        if (deadline.IsCancellationRequested) ServiceLog.StopTimedOut(_log);
        ServiceLog.Stopped(_log, (long)Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
    }

    /// <summary>Where a listener of this machine is reached from this machine.</summary>
    public static IPEndPoint Reachable(IPEndPoint listening)
    {
        // What listens on every address is reached at home on the loopback one.
        if (listening.Address.Equals(IPAddress.Any)) return new IPEndPoint(IPAddress.Loopback, listening.Port);
        if (listening.Address.Equals(IPAddress.IPv6Any)) return new IPEndPoint(IPAddress.IPv6Loopback, listening.Port);
        return listening;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _admin?.Dispose();
        _ecm?.Dispose();
        _hub?.Dispose();
        _text?.Dispose();
        _publisher?.Dispose();
    }

    private async Task StartAllAsync(CancellationToken cancellation)
    {
        List<RoleMetrics> metrics = [];
        if (settings.Hub is { } hub)
        {
            RoleMetrics counters = new(Role.Hub);
            metrics.Add(counters);
            HubRole role = Make(() => new HubRole(hub, counters, loggers), hub.Tls);
            Listen(role.Start, "Hub:");
            _hub = role;
        }

        if (settings.Ecm is { } ecm)
        {
            // The hub's port may only be known now.
            if (settings.LinksToOwnHub)
            {
                IPEndPoint to = Reachable(_hub!.Listening);
                ecm = ecm with { Connect = ecm.Connect with { To = new HostPort(to.Address.ToString(), to.Port) } };
            }

            RoleMetrics counters = new(Role.Ecm);
            metrics.Insert(0, counters);
            EcmRole role = Make(() => new EcmRole(ecm, counters, loggers), ecm.Connect.Tls);
            Listen(role.Start, "Ecm:");
            _ecm = role;
        }

        if (settings.Admin is { } admin)
        {
            _publisher = new MetricsPublisher(metrics);
            _text = new PrometheusText(_publisher.Meter);
            _admin = new AdminEndpoint(
                admin,
                new AdminApplication(NotReady, _text, loggers.CreateLogger<AdminApplication>()),
                loggers);
            try
            {
                await _admin.StartAsync(cancellation);
            }
            catch (Exception error) when (error is IOException or SocketException)
            {
                throw CannotListen(error, "Admin:");
            }
        }
    }

    private async Task StopAllAsync(CancellationToken deadline)
    {
        if (_ecm is not null) await _ecm.StopAsync(deadline);
        if (_hub is not null) await _hub.StopAsync(deadline);
        if (_admin is null) return;

        // Requests are short; one that hangs half sent must not use up what others may need.
        using CancellationTokenSource soon = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        soon.CancelAfter(LongestRequest);
        await _admin.StopAsync(soon.Token);
    }

    private string? NotReady() => _stopping ? "stopping" : _ecm?.NotReady;

    private string ReadyLine()
    {
        List<string> line = ["megaphone ready"];
        if (_ecm is not null) line.Add($"ecm={string.Join(',', _ecm.Listening)}");
        if (_hub is not null) line.Add($"hub={_hub.Listening}");
        if (_admin is not null) line.Add($"admin={_admin.Listening}");
        return string.Join(' ', line);
    }

    private static T Make<T>(Func<T> make, LinkTlsOptions? tls)
    {
        try
        {
            return make();
        }
        catch (CertificateException error)
        {
            throw new StartFailedException($"{tls?.Section}: {error.Message}", error);
        }
        catch (IOException error)
        {
            throw new StartFailedException(error.Message, error);
        }
    }

    private void Listen(Action start, string section)
    {
        try
        {
            start();
        }
        catch (IOException error)
        {
            throw CannotListen(error, section);
        }
        catch (CertificateException error)
        {
            throw new StartFailedException($"{section}Tls: {error.Message}", error);
        }
    }

    /// <summary>
    /// Finds out which of a section's addresses it was, and why, so that the line can name the key and the remedy.
    /// </summary>
    private StartFailedException CannotListen(Exception error, string section)
    {
        // Those of its addresses that have been bound are in use by ourselves now.
        IPEndPoint? failed = (error as ListenException)?.EndPoint;
        foreach ((string key, IPEndPoint address) in settings.Listeners)
        {
            if (!key.StartsWith(section, StringComparison.Ordinal) || (failed is not null && !failed.Equals(address))) continue;
            if (BindProbe.Try(address) is { } obstacle)
                return new StartFailedException($"{key} \"{address}\": {obstacle.Reason}; {obstacle.Fix}", error);
        }

        // Free again by now, or something else than the address: what the role says itself.
        return new StartFailedException($"{section.TrimEnd(':')}: {error.Message}", error);
    }
}
