using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Values;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>
/// Starts the hub, the ECM and the admin endpoint, and stops the ECM, the hub and the endpoint.
/// </summary>
/// <param name="settings">The checked configuration.</param>
/// <param name="systemd">Notifies the service manager.</param>
/// <param name="loggers">Makes the roles' loggers.</param>
/// <param name="image">How the process was started, and what its last image has left.</param>
/// <param name="lastWords">Writes the log out, as far as that has been waiting.</param>
/// <param name="signals">Takes the process's signals.</param>
/// <param name="levels">What is logged.</param>
/// <param name="application">Says whether the process is to stop.</param>
internal sealed class MegaphoneService(
    Settings settings,
    SystemdNotifier systemd,
    ILoggerFactory loggers,
    ProcessImage image,
    LastWords lastWords,
    SignalThread signals,
    LogLevels levels,
    IHostApplicationLifetime application) : IHostedService, IHandedOver, IDisposable
{
    /// <summary>
    /// The share of <see cref="Settings.StopTimeout"/> that is kept for the process's own exit, after the roles' deadline.
    /// </summary>
    private const double ShareForTheEnd = 0.1;

    /// <summary>The share of <see cref="Settings.StopTimeout"/> in which clients are ended.</summary>
    private const double ShareForClients = 0.5;

    /// <summary>Why it is not ready, though nothing is wrong.</summary>
    private const string Stopping = "stopping", DrainingNow = "draining";

    /// <summary>SIGHUP and SIGUSR1 on x86-64 and arm64: signal(7).</summary>
    private const int HangUp = 1, UserSignal = 10;

    /// <summary>How long the stop waits for an admin request that is under way.</summary>
    private static readonly TimeSpan LongestRequest = TimeSpan.FromMilliseconds(500);

    private readonly ILogger _log = loggers.CreateLogger<MegaphoneService>();
    private HubRole? _hub;
    private EcmRole? _ecm;
    private AdminEndpoint? _admin;
    private MetricsPublisher? _publisher;
    private PrometheusText? _text;
    private readonly ReloadCounters _reloads = new();

    /// <summary>Held while it stands still for a reload, and from when it stops.</summary>
    private readonly SemaphoreSlim _standstill = new(1);
    private AdminSockets _adminBefore = AdminSockets.None;
    private string? _takenOver;
    private bool _isSuspended;
    private volatile bool _draining;
    private volatile bool _stopping;

    /// <summary>Binds every listener, then prints the ready line and notifies the service manager.</summary>
    /// <exception cref="StartFailedException">A listener cannot be bound; those that were bound before it are closed.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Reload reload = new(image, this, systemd, _reloads, lastWords, signals, _log);
        try
        {
            await StartAllAsync(reload, cancellationToken);
        }
        catch
        {
            await StopAllAsync(new CancellationToken(canceled: true));
            throw;
        }

        if (_takenOver is null) Console.Out.WriteLine(ReadyLine());
        systemd.Ready();
        reload.Begin(_takenOver);
        signals.Handle(UserSignal, () => _ = Drain("SIGUSR1"));
        signals.Handle(HangUp, () => reload.Order("SIGHUP"));

        // A third of the memory is what reading the configuration and starting have needed; with no garbage to come it would stay for ever.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    /// <summary>
    /// Stops the ECM first, so that what clients have sent is still passed on, then the hub, then the endpoint.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        long begun = Stopwatch.GetTimestamp();
        _stopping = true;
        systemd.Stopping();

        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(settings.StopTimeout * (1 - ShareForTheEnd));

        // Not in the middle of a reload: if nobody takes over it goes on first, which it does within moments.
        await _standstill.WaitAsync(deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await StopAllAsync(deadline.Token);

        if (deadline.IsCancellationRequested) ServiceLog.StopTimedOut(_log);
        ServiceLog.Stopped(_log, (long)Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
    }

    /// <summary>The ECM; null: it does not run.</summary>
    public EcmRole? Ecm => _ecm;

    /// <summary>A line for each value of the configuration that a reload could not bring into force.</summary>
    public IReadOnlyList<string> Unchanged => [.. _ecm?.Unchanged ?? [], .. _hub?.Unchanged ?? []];

    /// <summary>Begins a drain: not ready, no new clients and sessions; the ECM's clients are ended, the hub's sessions stay until they
    /// end.</summary>
    /// <param name="cause">For the log.</param>
    /// <param name="over">In which time clients are ended; null: as it is configured.</param>
    /// <returns>False when it is draining or stopping already.</returns>
    public bool Drain(string cause, TimeSpan? over = null)
    {
        if (_draining || _stopping) return false;
        _draining = true;
        ServiceLog.Draining(_log, cause);
        _hub?.Drain();
        _ = _ecm?.DrainAsync(over);
        return true;
    }

    /// <summary>Takes back every drain, whether it has ended or not.</summary>
    /// <returns>How many of the hub's links cannot be told; null: it is stopping.</returns>
    public int? Undrain()
    {
        if (_stopping) return null;
        ServiceLog.Undrained(_log);
        _ecm?.Undrain();
        int untold = _hub?.Undrain() ?? 0;
        _draining = false;
        return untold;
    }

    /// <summary>Where a local listener can be reached.</summary>
    private static HostPort Reachable(EndPoint listening) => listening is IPEndPoint address && Reachable(address) is var reachable
        ? new HostPort(reachable.Address.ToString(), reachable.Port)
        : new HostPort(listening.ToString()!, 0);

    /// <summary>The address at which a local listener can be reached.</summary>
    public static IPEndPoint Reachable(IPEndPoint listening)
    {
        // A listener on a wildcard address can be reached on loopback, one on "[::]" over IPv4 too: containers often have no "::1".
        bool isAny = listening.Address.Equals(IPAddress.Any) || listening.Address.Equals(IPAddress.IPv6Any);
        return isAny ? new IPEndPoint(IPAddress.Loopback, listening.Port) : listening;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _admin?.Dispose();
        _ecm?.Dispose();
        _hub?.Dispose();
        _text?.Dispose();
        _publisher?.Dispose();
        _standstill.Dispose();
    }

    /// <inheritdoc/>
    public string? FindObstacle()
    {
        if (_stopping || _draining || application.ApplicationStopping.IsCancellationRequested) return "the service is draining or stopping";
        return _ecm?.FindObstacle() ?? _hub?.FindObstacle();
    }

    /// <inheritdoc/>
    public void ReloadCertificates()
    {
        _ecm?.ReloadCertificates();
        _hub?.ReloadCertificates();
    }

    /// <inheritdoc/>
    public void SaveHead(StateWriter writer) => new StateHead(_ecm?.Head, _hub?.Head, _admin?.Sockets ?? AdminSockets.None).Save(writer);

    /// <inheritdoc/>
    public async Task SuspendAsync()
    {
        await _standstill.WaitAsync().ConfigureAwait(false);
        _isSuspended = true;

        // The ECM may have links to the hub, which sees their ends.
        _hub?.ExpectStandstill();
        if (_ecm is not null) await _ecm.SuspendAsync().ConfigureAwait(false);
        if (_hub is not null) await _hub.SuspendAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Save(StateWriter writer)
    {
        (_admin?.Sockets ?? AdminSockets.None).Save(writer);
        writer.Write(Link.LastNumber);
        writer.Write(_hub is not null);
        _hub?.Save(writer);
        writer.Write(_ecm is not null);
        _ecm?.Save(writer);
    }

    /// <inheritdoc/>
    public void GoOn()
    {
        if (!_isSuspended) return;
        _isSuspended = false;
        _hub?.GoOn();
        _ecm?.GoOn();
        _standstill.Release();
    }

    private async Task StartAllAsync(Reload reload, CancellationToken cancellation)
    {
        List<RoleMetrics> metrics = [];
        if (image.State < 0) StartRoles(metrics, state: null);
        else TakeOver(metrics, reload);

        AdminSockets inherited = _adminBefore.Release(settings.Admin);
        if (settings.Admin is not { } admin) return;
        _publisher = new MetricsPublisher(metrics, _reloads);
        _text = new PrometheusText(_publisher.Meter);
        _admin = new AdminEndpoint(
            admin,
            new AdminApplication(
                NotReady, () => _ecm?.Outages ?? [], _text, new StatusSource(metrics, _reloads, State),
                new OperatorRoutes(
                    new OperatorDesk(settings, this, levels, _standstill, _log), waiter => reload.Order("megaphone reload", waiter)),
                loggers.CreateLogger<AdminApplication>()),
            loggers,
            BindOperatorSocket(admin.Socket, inherited.PathDescriptor),
            inherited.Descriptor);
        try
        {
            await _admin.StartAsync(cancellation);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            StartFailedException failed = StartFailures.CannotListen(settings, error, "Admin:");
            if (_takenOver is null) throw failed;

            // Those who are connected go first.
            ServiceLog.LeftOut(_log, failed.Message);
            _admin.Dispose();
            _admin = null;
        }
    }

    private Socket? BindOperatorSocket(string? path, int inherited)
    {
        if (path is null) return null;
        if (inherited >= 0) return NativeSocket.Adopt(inherited);
        try
        {
            return OperatorSocket.Bind(path);
        }
        catch (IOException error)
        {
            string problem = $"{SettingKeys.AdminSocket.Path} \"{path}\": {error.Message}";
            if (_takenOver is null) throw new StartFailedException(problem, error);
            ServiceLog.LeftOut(_log, problem);
            return null;
        }
    }

    private void TakeOver(List<RoleMetrics> metrics, Reload reload)
    {
        long began = 0;
        try
        {
            StateFile.Read(image.State, state =>
            {
                began = reload.Restore(state);
                _adminBefore = AdminSockets.Restore(state);
                Link.LastNumber = state.ReadNumber(0, int.MaxValue, "the last number of a link");
                StartRoles(metrics, state);
            });
        }
        catch (StateException error)
        {
            throw new StartFailedException(error.Message, error);
        }

        _reloads.AddDone(Stopwatch.GetElapsedTime(began));
        StateFile.Close(image.State);
        StateFile.Close(image.Files);
        RehearsedFiles.Forget();
        IEnumerable<string> all = metrics.Select(role => $"{role.Connected} {(role.Role == Role.Ecm ? "clients" : "sessions")}");
        _takenOver = $"megaphone {ProductVersion.Current} has taken over {string.Join(" and ", all)}, who were not served for "
            + $"{_reloads.Handover.TotalMilliseconds.ToString("F1", CultureInfo.InvariantCulture)} ms";
        ServiceLog.Reloaded(_log, _takenOver);
    }

    private void StartRoles(List<RoleMetrics> metrics, StateReader? state)
    {
        // Each state is read before anything that is new can fail, and in the order in which it was written.
        StateReader? hubState = StateOf(settings.Hub is not null, state);
        if (settings.Hub is { } hub) Start(() => StartHub(hub, metrics, hubState), isNew: state is not null && hubState is null);
        StateReader? ecmState = StateOf(settings.Ecm is not null, state);
        if (settings.Ecm is { } ecm) Start(() => StartEcm(ecm, metrics, ecmState), isNew: state is not null && ecmState is null);
    }

    /// <summary>The state of a role, if there is one.</summary>
    private static StateReader? StateOf(bool isConfigured, StateReader? state)
    {
        if (state?.ReadFlag() is not true) return null;
        state.Check(isConfigured, "a role that is not configured");
        return state;
    }

    /// <summary>Starts a role. One that is new and cannot start while a state is taken over is left out: those who are connected go first.</summary>
    private void Start(Action start, bool isNew)
    {
        try
        {
            start();
        }
        catch (StartFailedException failed) when (isNew)
        {
            ServiceLog.LeftOut(_log, failed.Message);
        }
    }

    private void StartHub(HubOptions hub, List<RoleMetrics> metrics, StateReader? state)
    {
        RoleMetrics counters = new(Role.Hub);
        HubRole role = StartFailures.Make(() => new HubRole(hub, counters, loggers, state), hub.Tls);
        StartFailures.Listen(settings, () => role.Start(state), "Hub:");
        metrics.Add(counters);
        _hub = role;
    }

    private void StartEcm(EcmOptions ecm, List<RoleMetrics> metrics, StateReader? state)
    {
        // Port 0: the hub's port is known only now.
        if (settings.LinksToOwnHub && _hub is not null)
        {
            HostPort to = Reachable(_hub.Listening);
            ecm = ecm with
            {
                Connect = ecm.Connect with
                {
                    To = [to],
                    Tls = ecm.Connect.Tls is { } tls ? tls with { PeerName = tls.PeerName ?? ecm.Connect.To[0].Host } : null,
                },
            };
        }

        RoleMetrics counters = new(Role.Ecm);
        EcmRole role = StartFailures.Make(() => new EcmRole(ecm, counters, loggers, state), ecm.Connect.Tls);
        StartFailures.Listen(settings, () => role.Start(state), "Ecm:");
        metrics.Insert(0, counters);
        _ecm = role;
    }

    private async Task StopAllAsync(CancellationToken deadline)
    {
        if (_ecm is not null) await _ecm.StopAsync(settings.StopTimeout * ShareForClients, deadline);
        if (_hub is not null) await _hub.StopAsync(deadline);
        if (_admin is null) return;

        // Requests are short; an incomplete one must not use up the timeout.
        using CancellationTokenSource soon = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        soon.CancelAfter(LongestRequest);
        await _admin.StopAsync(soon.Token);
    }

    private (string State, IEnumerable<string> Reasons) State() => NotReady() switch
    {
        null => ("ready", _ecm?.Outages ?? []),
        Stopping => (Stopping, []),
        DrainingNow => (DrainingNow, []),
        { } reason => ("not ready", [reason]),
    };

    private string? NotReady() => _stopping ? Stopping : _draining ? DrainingNow : _ecm?.NotReady;

    private string ReadyLine()
    {
        List<string> line = ["megaphone ready"];
        if (_ecm is not null) line.Add($"ecm={string.Join(',', _ecm.Listening)}");
        if (_hub is not null) line.Add($"hub={_hub.Listening}");
        if (_admin is not null) line.Add($"admin={_admin.Listening}");
        return string.Join(' ', line);
    }
}
