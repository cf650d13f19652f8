; Asks Knossos about histories and prints one map for each, on a line of its own.
; Arguments: model, its initial state as EDN, milliseconds for each history, files.
(require '[clojure.edn :as edn]
         '[clojure.java.io :as io]
         '[knossos.competition :as competition]
         '[knossos.history :as history]
         '[knossos.model :as model])

(defn read-history [file]
  (with-open [in (java.io.PushbackReader. (io/reader file))]
    (let [forms (vec (take-while #(not= ::end %)
                                 (repeatedly #(edn/read {:eof ::end :default tagged-literal} in))))]
      (history/parse-ops (if (and (= 1 (count forms)) (sequential? (first forms)))
                           (vec (first forms))
                           forms)))))

(defn plain [op] (when op (into {} (remove (comp nil? val)) (into {} op))))

(let [[name initial limit & files] *command-line-args*
      initial (edn/read-string {:default tagged-literal} initial)
      start   (case name
                "cas-register"   (model/cas-register initial)
                "multi-register" (model/multi-register initial)
                "mutex"          (model/mutex))]
  (doseq [file files]
    (let [r (competition/analysis start (read-history file) {:time-limit (Long/parseLong limit)})]
      (println (str "second-opinion "
                    (pr-str {:valid?      (:valid? r)
                             :cause       (:cause r)
                             :op          (plain (:op r))
                             :previous-ok (plain (:previous-ok r))
                             :ends        (->> (:final-paths r)
                                               (map (fn [path] (str (:model (last path)))))
                                               distinct
                                               (take 8)
                                               vec)})))
      (flush)))
  (shutdown-agents)
  (System/exit 0))
